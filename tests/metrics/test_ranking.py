"""Ranks against brute force; classes against their functions, in one batch or many."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from xrec_lightning.metrics import functional
from xrec_lightning.metrics.ranking import (
    F1,
    MAP,
    MRR,
    NDCG,
    HitRate,
    Precision,
    RankMetric,
    Recall,
    default_metrics,
    target_ranks,
)

SCORES = st.one_of(st.integers(-3, 3).map(float), st.just(-math.inf))


def brute_force_rank(scores: list[float], target: int) -> int:
    others = scores[:target] + scores[target + 1 :]
    return 1 + sum(score >= scores[target] for score in others)


@given(st.data(), st.integers(1, 5), st.integers(1, 8), st.integers(1, 9))
def test_ranks_agree_with_a_loop_whatever_the_block(
    data: st.DataObject, rows: int, columns: int, block_size: int
) -> None:
    matrix = data.draw(
        st.lists(st.lists(SCORES, min_size=columns, max_size=columns), min_size=rows, max_size=rows)
    )
    targets = data.draw(st.lists(st.integers(0, columns - 1), min_size=rows, max_size=rows))
    for scores, target in zip(matrix, targets, strict=True):
        scores[target] = max(scores[target], -3.0)
    ranks = target_ranks(torch.tensor(matrix), torch.tensor(targets), block_size)
    assert ranks.tolist() == [
        brute_force_rank(scores, target) for scores, target in zip(matrix, targets, strict=True)
    ]


def test_ties_count_against_the_model() -> None:
    assert target_ranks(torch.zeros(1, 7), torch.tensor([3])).tolist() == [7]


def test_excluded_candidates_do_not_count() -> None:
    scores = torch.tensor([[-torch.inf, 2.0, -torch.inf, 1.0]])
    assert target_ranks(scores, torch.tensor([3])).tolist() == [2]


@pytest.mark.parametrize("column", [0, 1])
def test_nan_is_refused_at_the_target_and_elsewhere(column: int) -> None:
    scores = torch.tensor([[1.0, 2.0, 3.0]])
    scores[0, column] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        target_ranks(scores, torch.tensor([0]), block_size=1)


def test_a_target_that_is_no_candidate_is_refused() -> None:
    with pytest.raises(ValueError, match="no candidate"):
        target_ranks(torch.tensor([[-torch.inf, 1.0]]), torch.tensor([0]))


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        (NDCG(5), functional.ndcg_at_k),
        (HitRate(5), functional.hit_at_k),
        (Recall(5), functional.recall_at_k),
        (Precision(5), functional.precision_at_k),
        (F1(5), functional.f1_at_k),
        (MAP(5), functional.average_precision_at_k),
        (MRR(5), functional.reciprocal_rank_at_k),
    ],
)
def test_metric_over_batches_is_the_mean_of_its_function(
    metric: RankMetric, function: Callable[[Tensor, int], Tensor]
) -> None:
    ranks = torch.tensor([1, 9, 2, 6, 5, 3, 700])
    for batch in ranks.split([1, 4, 2]):
        metric.update(batch)
    expected = function(ranks.double(), 5).double().mean()
    torch.testing.assert_close(metric.compute(), expected)


def test_a_metric_reset_in_inference_mode_goes_on_outside_of_it() -> None:
    metric = NDCG(5)  # as when a module is validated and then fitted
    with torch.inference_mode():
        metric.update(torch.tensor([3]))
        metric.reset()
    metric.update(torch.tensor([1]))
    assert metric.compute().item() == 1.0


def test_cut_off_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="top_k"):
        NDCG(0)


def test_default_metrics_have_the_contracted_names() -> None:
    assert [metric.name for metric in default_metrics()] == [
        "ndcg@10", "hr@10", "mrr@10", "recall@10", "precision@10", "f1@10", "map@10",
        "ndcg@20", "hr@20",
    ]  # fmt: skip


def test_values_are_zero_beyond_the_cut_off() -> None:
    for metric in default_metrics():
        assert metric.values(torch.tensor([metric.top_k + 1])).item() == 0
        assert metric.values(torch.tensor([metric.top_k])).item() > 0
