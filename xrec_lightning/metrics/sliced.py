"""Ranking metrics over all targets and over each slice of them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override

from xrec_lightning.metrics.ranking import RankMetric


class SlicedRankMetrics(Metric):
    """Means of several ranking metrics over all targets and over named slices of them.

    The state is a table of integers, how often each rank up to the largest cut-off occurs in each
    slice, so the result is the same to the last bit in any order of batches and on any number of
    processes. Slices that hold no target are left out.

    Args:
        metrics: Metrics whose `RankMetric.values` are averaged; each is 0 beyond its ``top_k``.
        names: Names of the slices, in the order of the columns of ``mask``.

    Raises:
        ValueError: If two metrics or two slices have the same name.

    Example:
        >>> from xrec_lightning.metrics.ranking import HitRate
        >>> metric = SlicedRankMetrics([HitRate(2)], ["cold"])
        >>> metric.update(torch.tensor([1, 3]), torch.tensor([[True], [False]]))
        >>> {key: value.item() for key, value in metric.compute().items()}
        {'hr@2': 0.5, 'hr@2/cold': 1.0}
    """

    higher_is_better = True
    is_differentiable = False
    full_state_update = False

    rank_counts: Tensor
    counts: Tensor

    def __init__(self, metrics: Sequence[RankMetric], names: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _refuse_repeats("metric", [metric.name for metric in metrics])
        _refuse_repeats("slice", names)
        self.metrics = tuple(metrics)  # a tuple keeps their own states out of this module
        self.names = tuple(names)
        self.max_rank = max(metric.top_k for metric in metrics)
        rows = len(self.names) + 1
        rank_counts = torch.zeros(rows, self.max_rank + 1, dtype=torch.int64)
        self.add_state("rank_counts", default=rank_counts, dist_reduce_fx="sum")
        self.add_state("counts", default=torch.zeros(rows).long(), dist_reduce_fx="sum")

    @override
    def update(self, ranks: Tensor, mask: Tensor) -> None:
        """Add targets.

        Args:
            ranks: 1-based ranks, shape ``(B,)``.
            mask: Membership of each target in each slice, shape ``(B, S)``, boolean.
        """
        members = torch.cat([mask.new_ones(len(mask), 1), mask], dim=1)  # (B, 1 + S)
        members = members.T.to(torch.int64)
        # Ranks beyond every cut-off share the last column.
        # Not in place: after a reset in inference mode that would fail in a fit.
        columns = ranks.clamp(max=self.max_rank + 1) - 1
        self.rank_counts = self.rank_counts.index_add(1, columns, members)
        self.counts = self.counts + members.sum(dim=1)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Return means by key, such as ``ndcg@10`` over all targets and ``ndcg@10/cold``."""
        ranks = torch.arange(1, self.max_rank + 2, dtype=torch.float64)
        values = torch.stack([metric.values(ranks) for metric in self.metrics])  # (M, K)
        counts = self.counts.cpu()
        means = self.rank_counts.cpu().double() @ values.T / counts.unsqueeze(1)  # (1 + S, M)
        means = means.to(self.counts.device, _widest_float(self.counts.device))
        return {
            metric.name + suffix: means[row, column]
            for row, suffix in enumerate(["", *(f"/{name}" for name in self.names)])
            for column, metric in enumerate(self.metrics)
            if counts[row] > 0
        }


def _refuse_repeats(kind: str, names: Sequence[str]) -> None:
    for name in names:
        if list(names).count(name) > 1:
            raise ValueError(f"{kind} {name!r} is given twice; keys must differ")


def _widest_float(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64
