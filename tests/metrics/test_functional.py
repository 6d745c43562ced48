"""Values worked by hand, brute force over ranked lists, and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

from xrec_lightning.metrics import functional

RANKS = st.lists(st.integers(1, 40), min_size=1, max_size=30)
CUTOFFS = st.integers(1, 30)


def ranked_list(rank: int, length: int = 50) -> list[int]:
    """Return relevances by position with the relevant item at ``rank``."""
    return [int(position == rank) for position in range(1, length + 1)]


def test_values_worked_by_hand() -> None:
    ranks = torch.tensor([1, 2, 3, 4])
    assert functional.hit_at_k(ranks, 3).tolist() == [1, 1, 1, 0]
    assert functional.recall_at_k(ranks, 3).tolist() == [1, 1, 1, 0]
    assert functional.precision_at_k(ranks, 2).tolist() == [0.5, 0.5, 0, 0]
    assert functional.f1_at_k(ranks, 3).tolist() == [0.5, 0.5, 0.5, 0]
    expected = [1, 1 / math.log2(3), 0.5, 0]
    assert functional.ndcg_at_k(ranks, 3).tolist() == pytest.approx(expected)
    assert functional.reciprocal_rank_at_k(ranks, 3).tolist() == pytest.approx([1, 0.5, 1 / 3, 0])
    assert functional.average_precision_at_k(ranks, 1).tolist() == [1, 0, 0, 0]


@given(RANKS, CUTOFFS)
def test_hit_precision_recall_and_f1_count_the_items_of_the_list(
    ranks: list[int], top_k: int
) -> None:
    tensor = torch.tensor(ranks)
    for row, rank in enumerate(ranks):
        found = sum(ranked_list(rank)[:top_k])
        precision, recall = found / top_k, found / 1
        f1 = 2 * precision * recall / (precision + recall) if found else 0.0
        assert functional.hit_at_k(tensor, top_k)[row].item() == found
        assert functional.precision_at_k(tensor, top_k)[row].item() == pytest.approx(precision)
        assert functional.recall_at_k(tensor, top_k)[row].item() == recall
        assert functional.f1_at_k(tensor, top_k)[row].item() == pytest.approx(f1)


@given(RANKS, CUTOFFS)
def test_ndcg_agrees_with_scikit_learn(ranks: list[int], top_k: int) -> None:
    relevances = np.array([ranked_list(rank) for rank in ranks])
    scores = np.tile(np.arange(50, 0, -1.0), (len(ranks), 1))
    values = functional.ndcg_at_k(torch.tensor(ranks), top_k)
    assert values.mean().item() == pytest.approx(ndcg_score(relevances, scores, k=top_k), abs=1e-6)


@given(RANKS)
def test_average_precision_agrees_with_scikit_learn(ranks: list[int]) -> None:
    relevances = np.array([ranked_list(rank) for rank in ranks])
    scores = np.tile(np.arange(50, 0, -1.0), (len(ranks), 1))
    expected = label_ranking_average_precision_score(relevances, scores)
    tensor = torch.tensor(ranks)
    for values in (
        functional.average_precision_at_k(tensor, 50),
        functional.reciprocal_rank_at_k(tensor, 50),
    ):
        assert values.mean().item() == pytest.approx(expected, abs=1e-6)


def test_counts_of_blocks_add_up_to_the_rank() -> None:
    scores = torch.tensor([[4.0, 1.0, 2.0, 2.0, -torch.inf]])
    target_scores = scores[:, 2]
    counts = [
        functional.count_not_below(scores[:, part], target_scores) for part in ([0, 1], [2, 3, 4])
    ]
    assert [count.item() for count in counts] == [1, 2]


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1)), min_size=1, max_size=20))
def test_mean_by_group_averages_the_means_of_the_groups(rows: list[tuple[int, float]]) -> None:
    groups: dict[int, list[float]] = {}
    for group, value in rows:
        groups.setdefault(group, []).append(value)
    expected = sum(sum(values) / len(values) for values in groups.values()) / len(groups)
    value = functional.mean_by_group(
        torch.tensor([value for _, value in rows], dtype=torch.float64),
        torch.tensor([group for group, _ in rows]),
    )
    assert value.item() == pytest.approx(expected)
