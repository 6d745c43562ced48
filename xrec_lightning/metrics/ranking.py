"""Ranking metrics over 1-based ranks, each row with one relevant item."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override

from xrec_lightning.metrics import functional


def target_ranks(scores: Tensor, target_ids: Tensor, block_size: int = 65536) -> Tensor:
    """Return the 1-based rank of each target; ties count against the model.

    Args:
        scores: Score of every item, -inf where it is no candidate, shape ``(B, N)``.
        target_ids: Column of each row's target, shape ``(B,)``.
        block_size: Items compared at once, which bounds the memory; the ranks do not depend on it.

    Returns:
        Ranks, int64, shape ``(B,)``.

    Raises:
        ValueError: If a score is NaN or a target is no candidate.

    Example:
        >>> target_ranks(torch.tensor([[0.0, 2.0, 1.0], [3.0, 3.0, 1.0]]), torch.tensor([2, 0]))
        tensor([2, 2])
    """
    target_scores = scores.gather(1, target_ids.unsqueeze(1)).squeeze(1)  # (B,)
    ranks = torch.zeros_like(target_ids, dtype=torch.int64)
    for block in torch.split(scores, block_size, dim=1):
        ranks += functional.count_not_below(block, target_scores)
    return ranks


class RankMetric(Metric):
    """Mean over rows of a function of the rank; NaN when nothing was seen.

    A subclass sets ``label`` and implements `values`.
    """

    higher_is_better = True
    is_differentiable = False
    full_state_update = False

    label: str
    """Name of the metric without its cut-off, such as ``ndcg``."""
    total: Tensor
    count: Tensor

    def __init__(self, top_k: int = 10, **kwargs: Any) -> None:
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        super().__init__(**kwargs)
        self.top_k = top_k
        self.name = f"{self.label}@{top_k}"
        """Key of the metric in logs and files."""
        zero = torch.zeros((), dtype=torch.float64)
        self.add_state("total", default=zero, dist_reduce_fx="sum")
        self.add_state("count", default=torch.tensor(0), dist_reduce_fx="sum")

    @abstractmethod
    def values(self, ranks: Tensor) -> Tensor:
        """Return the value of each row, 0 where its rank is beyond ``top_k``, shape ``(B,)``."""

    @override
    def update(self, ranks: Tensor) -> None:
        # Not in place: a state that was reset in inference mode could not be updated outside of it.
        self.total = self.total + self.values(ranks.double()).sum()
        self.count = self.count + ranks.numel()

    @override
    def compute(self) -> Tensor:
        return self.total / self.count


class NDCG(RankMetric):
    """Mean NDCG@k with one relevant item per row.

    Example:
        >>> NDCG(top_k=2)(torch.tensor([1, 3]))
        tensor(0.5000, dtype=torch.float64)
    """

    label = "ndcg"

    @override
    def values(self, ranks: Tensor) -> Tensor:
        return functional.ndcg_at_k(ranks, self.top_k)


class HitRate(RankMetric):
    """Share of rows whose relevant item is among the first k.

    Example:
        >>> HitRate(top_k=2)(torch.tensor([2, 3, 1, 9]))
        tensor(0.5000, dtype=torch.float64)
    """

    label = "hr"

    @override
    def values(self, ranks: Tensor) -> Tensor:
        return functional.hit_at_k(ranks, self.top_k)


class Recall(RankMetric):
    """Mean recall@k; with one relevant item per row, the hit rate.

    Example:
        >>> Recall(top_k=2)(torch.tensor([2, 3, 1, 9]))
        tensor(0.5000, dtype=torch.float64)
    """

    label = "recall"

    @override
    def values(self, ranks: Tensor) -> Tensor:
        return functional.recall_at_k(ranks, self.top_k)


class Precision(RankMetric):
    """Mean precision@k with one relevant item per row, at most 1 / k.

    Example:
        >>> Precision(top_k=2)(torch.tensor([2, 3, 1, 9]))
        tensor(0.2500, dtype=torch.float64)
    """

    label = "precision"

    @override
    def values(self, ranks: Tensor) -> Tensor:
        return functional.precision_at_k(ranks, self.top_k)


class F1(RankMetric):
    """Mean F1@k with one relevant item per row, at most 2 / (k + 1).

    Example:
        >>> F1(top_k=3)(torch.tensor([2, 4]))
        tensor(0.2500, dtype=torch.float64)
    """

    label = "f1"

    @override
    def values(self, ranks: Tensor) -> Tensor:
        return functional.f1_at_k(ranks, self.top_k)


class MAP(RankMetric):
    """Mean average precision@k; with one relevant item per row, `MRR`.

    Example:
        >>> MAP(top_k=3)(torch.tensor([2, 4]))
        tensor(0.2500, dtype=torch.float64)
    """

    label = "map"

    @override
    def values(self, ranks: Tensor) -> Tensor:
        return functional.average_precision_at_k(ranks, self.top_k)


class MRR(RankMetric):
    """Mean reciprocal rank, 0 beyond k.

    Example:
        >>> MRR(top_k=3)(torch.tensor([2, 4]))
        tensor(0.2500, dtype=torch.float64)
    """

    label = "mrr"

    @override
    def values(self, ranks: Tensor) -> Tensor:
        return functional.reciprocal_rank_at_k(ranks, self.top_k)


def default_metrics() -> list[RankMetric]:
    """Return the metrics that every ranking run reports: NDCG and hit rate at 10 and 20, and more.

    Example:
        >>> [metric.name for metric in default_metrics()][:3]
        ['ndcg@10', 'hr@10', 'mrr@10']
    """
    at_10 = [metric(10) for metric in (NDCG, HitRate, MRR, Recall, Precision, F1, MAP)]
    return [*at_10, NDCG(20), HitRate(20)]
