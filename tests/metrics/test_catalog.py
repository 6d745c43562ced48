"""Values worked by hand, brute force, and any split into batches."""

import itertools
import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics import Metric

from xrec_lightning.metrics import catalog

NUM_ITEMS = 6
TRAIN_COUNTS = torch.tensor([10, 0, 3, 1, 0, 6])
LISTS = st.lists(
    st.lists(st.integers(0, NUM_ITEMS), min_size=3, max_size=3), min_size=1, max_size=8
).filter(lambda lists: any(item for items in lists for item in items))


def count(lists: list[list[int]]) -> list[int]:
    counter = Counter(item for items in lists for item in items if item)
    return [counter[item] for item in range(1, NUM_ITEMS + 1)]


def brute_force_gini(counts: list[int]) -> float:
    gaps = sum(abs(left - right) for left in counts for right in counts)
    return gaps / (2 * len(counts) ** 2 * (sum(counts) / len(counts)))


@given(LISTS)
def test_counts_coverage_and_gini_agree_with_loops(lists: list[list[int]]) -> None:
    counts = catalog.recommended_counts(torch.tensor(lists), NUM_ITEMS)
    assert counts.tolist() == count(lists)
    shown = {item for items in lists for item in items if item}
    assert catalog.coverage(counts).item() == pytest.approx(len(shown) / NUM_ITEMS)
    assert catalog.gini(counts).item() == pytest.approx(brute_force_gini(count(lists)))


@given(LISTS)
def test_novelty_and_bias_are_means_over_recommended_items(lists: list[list[int]]) -> None:
    items = [item for row in lists for item in row if item]
    total = int(TRAIN_COUNTS.sum()) + NUM_ITEMS
    bits = [-math.log2((TRAIN_COUNTS[item - 1].item() + 1) / total) for item in items]
    events = [TRAIN_COUNTS[item - 1].item() for item in items]
    counts = catalog.recommended_counts(torch.tensor(lists), NUM_ITEMS)
    value = catalog.novelty(counts, TRAIN_COUNTS).item()
    assert value == pytest.approx(sum(bits) / len(items))
    bias = (sum(events) / len(items)) / (TRAIN_COUNTS.sum().item() / NUM_ITEMS)
    assert catalog.popularity_bias(counts, TRAIN_COUNTS).item() == pytest.approx(bias)


@given(LISTS)
def test_diversity_agrees_with_a_loop_over_pairs(lists: list[list[int]]) -> None:
    vectors = torch.randn(NUM_ITEMS + 1, 4, generator=torch.Generator().manual_seed(0))
    values = catalog.intra_list_diversity(torch.tensor(lists), vectors).tolist()
    for items, value in zip(lists, values, strict=True):
        real = [item for item in items if item]
        distances = [
            1 - torch.cosine_similarity(vectors[left], vectors[right], dim=0).item()
            for left, right in itertools.combinations(real, 2)
        ]
        if distances:
            assert value == pytest.approx(sum(distances) / len(distances), abs=1e-5)
        else:
            assert math.isnan(value)


def test_an_item_without_a_vector_is_unlike_every_other() -> None:
    vectors = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    value = catalog.intra_list_diversity(torch.tensor([[1, 2, 3]]), vectors)
    assert value.item() == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "metric",
    [
        catalog.Coverage(NUM_ITEMS),
        catalog.Gini(NUM_ITEMS),
        catalog.Novelty(TRAIN_COUNTS),
        catalog.PopularityBias(TRAIN_COUNTS),
        catalog.IntraListDiversity(torch.eye(NUM_ITEMS + 1)),
    ],
    ids=lambda metric: type(metric).__name__,
)
def test_batches_do_not_change_the_value(metric: Metric) -> None:
    lists = torch.tensor([[1, 2, 3], [3, 0, 0], [6, 1, 1], [2, 3, 6], [1, 6, 0]])
    whole = metric(lists)
    metric.reset()
    for batch in lists.split([1, 3, 1]):
        metric.update(batch)
    torch.testing.assert_close(metric.compute(), whole)


def test_short_lists_do_not_count_for_diversity() -> None:
    metric = catalog.IntraListDiversity(torch.eye(3))
    metric.update(torch.tensor([[1, 0], [1, 1], [1, 2]]))
    assert metric.compute().item() == 0.5
