import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from xrec_lightning.models.heads.contrastive import Contrast, ContrastiveConfig


def hides(contrast: Contrast, i: int, j: int) -> bool:
    """Whether key ``j`` is hidden from query ``i``."""
    seen = [set(row.tolist()) for row in contrast.seen_ids]
    reasons = [
        contrast.key_ids[i] == contrast.key_ids[j],
        contrast.key_ids[j].item() in seen[i],
        seen[i] == seen[j],
    ]
    if contrast.user_ids is not None:
        reasons.append(contrast.user_ids[i] == contrast.user_ids[j])
    if contrast.domain_ids is not None:
        reasons.append(contrast.domain_ids[i] != contrast.domain_ids[j])
    return i != j and any(bool(reason) for reason in reasons)


def reference(
    queries: np.ndarray, keys: np.ndarray, contrast: Contrast, config: ContrastiveConfig
) -> float:
    """InfoNCE written as loops."""
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    keys = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    size, total = len(keys), 0.0
    directions = [(False, contrast.key_log_q), (True, contrast.query_log_q)]
    for is_back, log_q in directions[: 1 + config.symmetric]:
        for i in range(size):
            logits = np.full(size, -np.inf)
            for j in range(size):
                query, key = (j, i) if is_back else (i, j)
                if not hides(contrast, query, key):
                    logits[j] = queries[query] @ keys[key] / config.temperature
                    if log_q is not None and i != j:
                        logits[j] -= config.logq * math.log((size - 1) * math.exp(log_q[j]))
            total -= log_softmax(logits)[i] / size
    return total / (1 + config.symmetric)


def contrast(**others: list[Any]) -> Contrast:
    return Contrast(
        key_ids=torch.tensor([11, 12, 13, 12, 14]),
        seen_ids=torch.tensor([[1, 2], [14, 0], [3, 4], [5, 6], [3, 4]]),
        **{name: torch.tensor(values) for name, values in others.items()},
    )


CONTRASTS = [
    contrast(),
    contrast(user_ids=[1, 2, 3, 4, 1]),
    contrast(domain_ids=[1, 1, 2, 1, 2]),
    contrast(key_log_q=[-1.0, -2.0, -3.0, -2.0, -5.0], query_log_q=[-4.0, -1.0, -3.0, -2.0, -1.5]),
    contrast(user_ids=[1, 2, 3, 4, 1], key_log_q=[-1.0, -2.0, -3.0, -2.0, -5.0]),
]


@pytest.mark.parametrize("contrast", CONTRASTS)
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("logq", [0.0, 0.5, 1.0])
def test_the_loss_equals_one_written_as_loops(
    contrast: Contrast, symmetric: bool, logq: float
) -> None:
    queries, keys = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    config = ContrastiveConfig(temperature=0.2, symmetric=symmetric, logq=logq)
    expected = reference(queries.numpy(), keys.numpy(), contrast, config)
    assert config.build()(queries, keys, contrast).item() == pytest.approx(expected, rel=1e-5)


def test_every_mask_hides_something_of_its_own() -> None:
    hidden = [each.is_hidden().sum().item() for each in CONTRASTS[:3]]
    # Equal keys (1, 3), key 14 seen by the second query, equal queries (2, 4).
    assert hidden[0] == 2 + 1 + 2
    assert hidden[1] == hidden[0] + 2
    assert hidden[2] == hidden[0] + 12 - 1  # key 14 is of another domain than its viewer's


def test_pairs_hide_shared_and_crossed_items() -> None:
    pairs = torch.tensor([[1, 2], [1, 4], [5, 2], [2, 8], [9, 10]])
    hidden = Contrast(key_ids=pairs[:, 1], seen_ids=pairs[:, :1]).is_hidden()
    assert hidden.nonzero().tolist() == [[0, 1], [0, 2], [1, 0], [2, 0], [3, 0], [3, 2]]


def test_the_loss_of_equal_vectors_is_that_of_a_guess() -> None:
    ids = Contrast(key_ids=torch.arange(9, 17), seen_ids=torch.arange(1, 9)[:, None])
    loss = ContrastiveConfig().build()(torch.ones(8, 4), torch.ones(8, 4), ids)
    assert loss.item() == pytest.approx(math.log(8), rel=1e-5)


def test_with_logq_a_batch_drawn_unevenly_gives_the_softmax_over_all_items() -> None:
    generator = torch.Generator().manual_seed(0)
    items, query = torch.randn(6, 3, generator=generator), torch.randn(1, 3, generator=generator)
    share = torch.tensor([0.5, 0.2, 0.1, 0.1, 0.05, 0.05])
    drawn = torch.repeat_interleave(torch.arange(6), (1000 * share).round().long())
    contrast = Contrast(
        key_ids=drawn + 1,
        seen_ids=torch.arange(101, 1101)[:, None],
        key_log_q=share[drawn].log(),
    )
    logits = torch.nn.functional.cosine_similarity(query, items) / 0.5
    expected = torch.nn.functional.cross_entropy(logits.expand(1000, 6), drawn)
    found = {
        logq: ContrastiveConfig(temperature=0.5, symmetric=False, logq=logq).build()(
            query.expand(1000, 3), items[drawn], contrast
        )
        for logq in (1.0, 0.0)
    }
    assert found[1.0].item() == pytest.approx(expected.item(), abs=0.01)
    assert abs(found[0.0].item() - expected.item()) > 0.1


def test_the_temperature_is_learned_at_its_own_rate_and_bounded() -> None:
    config = ContrastiveConfig(temperature=0.1, temperature_rate=10.0)
    head = config.build()
    assert head.temperature.item() == pytest.approx(0.1)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    vectors = torch.eye(4)
    ids = Contrast(key_ids=torch.arange(1, 5), seen_ids=torch.arange(5, 9)[:, None])
    head(vectors, vectors, ids).backward()
    optimizer.step()
    # A perfect match asks for a lower temperature, by ten learning rates.
    assert math.log(head.temperature.item() / 0.1) == pytest.approx(-10 * 1e-3, rel=0.01)
    for shift, bound in ((-1e6, config.min_temperature), (1e6, config.max_temperature)):
        head.temperature_shift.data.fill_(shift)
        assert head.temperature.item() == pytest.approx(bound)


def test_a_rate_of_0_keeps_the_temperature() -> None:
    head = ContrastiveConfig(temperature=0.2, temperature_rate=0.0).build()
    vectors = torch.eye(4)
    ids = Contrast(key_ids=torch.arange(1, 5), seen_ids=torch.arange(5, 9)[:, None])
    head(vectors, vectors, ids).backward()
    assert head.temperature_shift.grad == 0


@pytest.mark.parametrize("temperature", [0.01, 0.005, 1.0, 2.0, -1.0])
def test_a_temperature_outside_its_bounds_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match=f"temperature is {temperature}.*set it inside"):
        ContrastiveConfig(temperature=temperature)
