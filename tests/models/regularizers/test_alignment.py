import math
from collections.abc import Callable

import pytest
import torch

from xrec_lightning.batches import Catalog
from xrec_lightning.models.channels.knowledge import KnowledgeChannelConfig, whitened_vectors
from xrec_lightning.models.fusion import FusionScorer
from xrec_lightning.models.objectives import SampledSoftmaxLossConfig
from xrec_lightning.models.regularizers.alignment import AlignmentConfig
from xrec_lightning.models.training_pass import TrainingStep

MakeStep = Callable[[float], TrainingStep]
LOSS = SampledSoftmaxLossConfig()
ITEMS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
"""Those of the step: all that are trained, and none without text is among them."""


def sides(step: TrainingStep, catalog: Catalog) -> tuple[list[list[float]], list[list[float]]]:
    table = step.scorer.channel_list()[0].item_embedding.weight[ITEMS]
    texts = whitened_vectors(catalog, 8)[ITEMS]
    return tuple((each / each.norm(dim=1, keepdim=True)).tolist() for each in (table, texts))  # type: ignore[return-value]  # two


def dot(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def test_the_contrastive_term_is_the_symmetric_cross_entropy(
    make_step: MakeStep, catalog: Catalog
) -> None:
    step = make_step(0.0)
    config = AlignmentConfig(weight=0.3, temperature=0.5)
    term = config.build(catalog, step.scorer, LOSS)(step)
    keys, texts = sides(step, catalog)
    total = 0.0
    for near, far in ((keys, texts), (texts, keys)):
        for own, each in enumerate(near):
            shares = [math.exp(dot(each, other) / 0.5) for other in far]
            total -= math.log(shares[own] / sum(shares)) / len(near)
    assert term.item() == pytest.approx(0.3 * total / 2, rel=1e-5)


def test_the_cosine_term_is_one_less_the_cosine(make_step: MakeStep, catalog: Catalog) -> None:
    step = make_step(0.0)
    term = AlignmentConfig(weight=2.0, kind="cosine").build(catalog, step.scorer, LOSS)(step)
    cosines = [dot(key, text) for key, text in zip(*sides(step, catalog), strict=True)]
    assert term.item() == pytest.approx(2.0 * (1 - sum(cosines) / 10), rel=1e-5)


@pytest.mark.parametrize("kind", ["contrastive", "cosine"])
def test_following_it_draws_keys_to_texts(make_step: MakeStep, catalog: Catalog, kind: str) -> None:
    step = make_step(0.0)
    regularizer = AlignmentConfig(kind=kind).build(catalog, step.scorer, LOSS)  # type: ignore[arg-type]  # of the two
    optimizer = torch.optim.Adam(step.scorer.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        regularizer(step).backward()
        optimizer.step()
    keys, texts = sides(step, catalog)
    assert min(dot(key, text) for key, text in zip(keys, texts, strict=True)) > 0.8


def test_items_without_text_or_training_do_not_count(make_step: MakeStep, catalog: Catalog) -> None:
    assert catalog.vectors is not None
    vectors = catalog.vectors.clone()
    vectors[[1, 2]] = 0.0
    counts = catalog.train_counts.clone()
    counts[3] = 0
    step = make_step(0.0)
    other = catalog._replace(vectors=vectors, train_counts=counts)
    step.batch.item_ids[0] = torch.tensor([1, 2, 3, 0])
    step.batch.item_ids[1] = 0
    step.batch.target_ids[:] = torch.tensor([[1, 2], [3, 11], [0, 0]])
    regularizer = AlignmentConfig().build(other, step.scorer, LOSS)
    term = regularizer(step)
    assert term.item() == 0.0
    term.backward()


def test_a_large_batch_gives_a_part_of_its_items(make_step: MakeStep, catalog: Catalog) -> None:
    step = make_step(0.0)
    regularizer = AlignmentConfig(max_items=4).build(catalog, step.scorer, LOSS)
    parts = {tuple(regularizer._items(step.batch).tolist()) for _ in range(5)}
    assert len(parts) > 1
    assert all(len(set(part)) == 4 and set(part) <= set(ITEMS) for part in parts)


def test_it_has_no_part_in_a_checkpoint(make_step: MakeStep, catalog: Catalog) -> None:
    assert not AlignmentConfig().build(catalog, make_step(0.0).scorer, LOSS).state_dict()


def test_without_an_item_table_it_is_refused(catalog: Catalog) -> None:
    scorer = FusionScorer(catalog, [KnowledgeChannelConfig(dim=8)])
    with pytest.raises(ValueError, match="AlignmentConfig needs the item table of a `sequence`"):
        AlignmentConfig().build(catalog, scorer, LOSS)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"temperature is 0: set it above 0"):
        AlignmentConfig(temperature=0)
    with pytest.raises(ValueError, match=r"max_items is 1: set it above 1"):
        AlignmentConfig(max_items=1)
