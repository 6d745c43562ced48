"""Ranking metrics as pure functions of per-row values, each row with one relevant item."""

import torch
from torch import Tensor


def count_not_below(scores: Tensor, target_scores: Tensor) -> Tensor:
    """Return how many of each row's candidates score at least as high as its target.

    Over all candidates, the target among them, this is the target's rank with ties against the
    model; counts of blocks of candidates add up to it.

    Args:
        scores: Scores of a block of candidates, -inf where excluded, shape ``(B, N)``.
        target_scores: Score of each row's target, shape ``(B,)``.

    Returns:
        Counts, int64, shape ``(B,)``.

    Raises:
        ValueError: If a score is NaN or a target is excluded.
    """
    if scores.isnan().any():
        raise ValueError("scores hold NaN: the model diverged; lower the learning rate")
    if not (target_scores > -torch.inf).all():
        raise ValueError("a target is no candidate: its score is NaN or -inf")
    return (scores >= target_scores.unsqueeze(1)).sum(dim=1)


def hit_at_k(ranks: Tensor, top_k: int) -> Tensor:
    """Return 1 where the relevant item is among the first ``top_k``, else 0, shape ``(B,)``."""
    dtype = ranks.dtype if ranks.is_floating_point() else torch.get_default_dtype()
    return (ranks <= top_k).to(dtype)


def recall_at_k(ranks: Tensor, top_k: int) -> Tensor:
    """Return the share of relevant items found; with one of them, `hit_at_k`, shape ``(B,)``."""
    return hit_at_k(ranks, top_k)


def precision_at_k(ranks: Tensor, top_k: int) -> Tensor:
    """Return the share of the first ``top_k`` items that is relevant, shape ``(B,)``."""
    return hit_at_k(ranks, top_k) / top_k


def f1_at_k(ranks: Tensor, top_k: int) -> Tensor:
    """Return the harmonic mean of precision and recall, 0 without a hit, shape ``(B,)``."""
    return hit_at_k(ranks, top_k) * (2.0 / (top_k + 1))


def ndcg_at_k(ranks: Tensor, top_k: int) -> Tensor:
    """Return NDCG@k of each row with one relevant item, from 1-based ``ranks``, shape ``(B,)``."""
    return torch.where(ranks <= top_k, 1.0 / torch.log2(ranks + 1.0), 0.0)


def reciprocal_rank_at_k(ranks: Tensor, top_k: int) -> Tensor:
    """Return 1 / rank of the first relevant item, 0 beyond ``top_k``, shape ``(B,)``."""
    return torch.where(ranks <= top_k, 1.0 / ranks, 0.0)


def average_precision_at_k(ranks: Tensor, top_k: int) -> Tensor:
    """Return the average precision; with one relevant item, 1 / rank, shape ``(B,)``."""
    return reciprocal_rank_at_k(ranks, top_k)


def mean_by_group(values: Tensor, group_ids: Tensor) -> Tensor:
    """Return the mean over groups of their means: each group counts once, however many its rows.

    Args:
        values: Shape ``(B,)``.
        group_ids: Group of each row, such as its user, any integers, shape ``(B,)``.

    Returns:
        Shape ``()``, float64.

    Example:
        >>> mean_by_group(torch.tensor([0.0, 1.0, 1.0]), torch.tensor([7, 7, 9]))
        tensor(0.7500, dtype=torch.float64)
    """
    _, inverse, counts = torch.unique(group_ids, return_inverse=True, return_counts=True)
    totals = torch.zeros(len(counts), dtype=torch.float64, device=values.device)
    return (totals.index_add_(0, inverse, values.double()) / counts).mean()
