import pytest
import torch
from torch import Tensor

from xrec_lightning.models.losses import bce_loss, bpr_loss, sampled_softmax_loss
from xrec_lightning.models.objectives import (
    BCELossConfig,
    BPRLossConfig,
    ChunkedSoftmaxLossConfig,
    Comparison,
    FullSoftmaxLossConfig,
    GBCELossConfig,
    LossConfig,
    SampledSoftmaxLossConfig,
)

NEGATIVES = torch.tensor([1, 2, 3, 4, 5, 6])


def comparison(has_dislikes: bool = True, log_expected: Tensor | None = None) -> Comparison:
    """Return three targets among eight items, of which two are no negatives; two dislikes each."""
    generator = torch.Generator().manual_seed(0)
    queries, keys = torch.randn(11, 4, generator=generator).split([3, 8])
    none = torch.tensor([[False, True], [False, False], [True, True]])
    return Comparison(
        queries=queries.requires_grad_(),
        keys=keys.requires_grad_(),
        bias=torch.randn(8, generator=generator).requires_grad_(),
        target_ids=torch.tensor([2, 7, 5]),
        negative_ids=NEGATIVES,
        log_expected=log_expected,
        num_candidates=24,
        disliked_logits=torch.randn(3, 2, generator=generator) if has_dislikes else None,
        is_no_dislike=none if has_dislikes else None,
    )


def by_hand(compared: Comparison, row: int) -> tuple[Tensor, Tensor]:
    """Return the logit of the target and those of all that it is told apart from."""

    def logit(item: int) -> Tensor:
        return compared.queries[row] @ compared.keys[item] + compared.bias[item]

    target = int(compared.target_ids[row])
    negatives = [logit(item) for item in NEGATIVES.tolist() if item != target]
    if compared.disliked_logits is not None and compared.is_no_dislike is not None:
        negatives += list(compared.disliked_logits[row][~compared.is_no_dislike[row]])
    return logit(target)[None], torch.stack(negatives)[None]


@pytest.mark.parametrize("has_dislikes", [False, True])
@pytest.mark.parametrize(
    ("config", "function", "power"),
    [
        (SampledSoftmaxLossConfig(), sampled_softmax_loss, None),
        (FullSoftmaxLossConfig(), sampled_softmax_loss, None),
        (ChunkedSoftmaxLossConfig(block_size=2), sampled_softmax_loss, None),
        (BCELossConfig(), bce_loss, 1.0),
        (GBCELossConfig(calibration=0.0), bce_loss, 1.0),
        (GBCELossConfig(calibration=1.0), bce_loss, 6 / 24),
        (BPRLossConfig(), bpr_loss, None),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_a_target_is_told_apart_from_the_other_negatives_and_its_own_dislikes(
    config: LossConfig, function: object, power: float | None, has_dislikes: bool
) -> None:
    assert callable(function)
    compared = comparison(has_dislikes)
    losses = config.losses(compared)
    more = {} if power is None else {"power": power}
    for row in range(3):
        target, negatives = by_hand(compared, row)
        none = torch.zeros_like(negatives, dtype=torch.bool)
        torch.testing.assert_close(
            losses[row, None], function(target, negatives, none, None, **more)
        )


def test_dislikes_are_as_if_sampled_once() -> None:
    log_expected = torch.linspace(-2, 1, 6)
    compared = comparison(log_expected=log_expected)
    losses = SampledSoftmaxLossConfig().losses(compared)
    for row in range(3):
        target, negatives = by_hand(compared, row)
        kept = log_expected[compared.target_ids[row] != NEGATIVES]
        corrected = negatives[0] - torch.cat([kept, torch.zeros(negatives.size(1) - len(kept))])
        expected = torch.cat([target, corrected]).logsumexp(0) - target[0]
        torch.testing.assert_close(losses[row], expected)


@pytest.mark.parametrize("has_dislikes", [False, True])
def test_blocks_have_the_gradients_of_the_full_softmax(has_dislikes: bool) -> None:
    gradients = []
    for config in (FullSoftmaxLossConfig(), ChunkedSoftmaxLossConfig(block_size=2)):
        compared = comparison(has_dislikes)
        config.losses(compared).sum().backward()
        gradients.append([compared.queries.grad, compared.keys.grad, compared.bias.grad])
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-6)


def test_settings_that_cannot_be_name_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"calibration is 1\.5: set it from 0 to 1"):
        GBCELossConfig(calibration=1.5)
    with pytest.raises(ValueError, match="block_size is 0: set it to 1 or more"):
        ChunkedSoftmaxLossConfig(block_size=0)


def test_a_larger_sample_than_the_domain_is_plain_cross_entropy() -> None:
    compared = comparison()._replace(num_candidates=3)
    losses = GBCELossConfig(calibration=1.0).losses(compared)
    torch.testing.assert_close(losses, BCELossConfig().losses(compared))
