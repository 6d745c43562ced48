"""Metrics of what top-k lists show of the catalog: coverage, novelty, concentration, diversity.

Lists hold item indices, best first, and 0 where there is no item.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize
from torchmetrics import Metric
from typing_extensions import override


def recommended_counts(item_ids: Tensor, num_items: int) -> Tensor:
    """Return how often each item is recommended, int64, shape ``(N,)``; item ``i`` at ``i - 1``.

    Args:
        item_ids: Top-k lists, 0 where there is no item, shape ``(B, K)``.
        num_items: Number of items of the catalog.
    """
    return torch.bincount(item_ids.flatten(), minlength=num_items + 1)[1:]


def coverage(counts: Tensor) -> Tensor:
    """Return the share of the catalog that is recommended at all, shape ``()``.

    Args:
        counts: How often each item is recommended, shape ``(N,)``.

    Example:
        >>> coverage(torch.tensor([5, 0, 1, 0]))
        tensor(0.5000, dtype=torch.float64)
    """
    return (counts > 0).double().mean()


def gini(counts: Tensor) -> Tensor:
    """Return the Gini index of ``counts``: 0 when all are equal, near 1 when one item has all.

    Args:
        counts: How often each item is recommended, shape ``(N,)``.

    Returns:
        Shape ``()``; NaN when nothing is recommended.

    Example:
        >>> gini(torch.tensor([2, 2, 2])), gini(torch.tensor([0, 0, 0, 6]))
        (tensor(0., dtype=torch.float64), tensor(0.7500, dtype=torch.float64))
    """
    ordered = counts.double().sort().values
    num_items = len(ordered)
    positions = torch.arange(1, num_items + 1, dtype=torch.float64, device=counts.device)
    return ((2 * positions - num_items - 1) * ordered).sum() / (num_items * ordered.sum())


def novelty(counts: Tensor, train_counts: Tensor) -> Tensor:
    """Return the mean self-information of recommended items, in bits, shape ``()``.

    Each item's probability is its share of the training events with one event added to each item,
    so that cold items are novel, not infinitely so (Zhou et al., 2010, arXiv:0808.2670, without the
    added events).

    Args:
        counts: How often each item is recommended, shape ``(N,)``.
        train_counts: Training events of each item, shape ``(N,)``.

    Example:
        >>> novelty(torch.tensor([1, 1]), torch.tensor([5, 1]))  # probabilities 3/4 and 1/4
        tensor(1.2075, dtype=torch.float64)
    """
    events = train_counts.double() + 1
    bits = -torch.log2(events / events.sum())
    return (counts * bits).sum() / counts.sum()


def popularity_bias(counts: Tensor, train_counts: Tensor) -> Tensor:
    """Return how many times more popular recommended items are than the catalog, shape ``()``.

    The mean training count over recommended items, divided by that over the catalog; 1 says that
    the lists do not prefer popular items.

    Args:
        counts: How often each item is recommended, shape ``(N,)``.
        train_counts: Training events of each item, shape ``(N,)``.

    Example:
        >>> popularity_bias(torch.tensor([3, 0]), torch.tensor([8, 0]))
        tensor(2., dtype=torch.float64)
    """
    recommended = (counts * train_counts.double()).sum() / counts.sum()
    return recommended / train_counts.double().mean()


def intra_list_diversity(item_ids: Tensor, vectors: Tensor) -> Tensor:
    """Return one minus the mean cosine of the pairs of items of each list.

    Args:
        item_ids: Top-k lists, 0 where there is no item, shape ``(B, K)``.
        vectors: A vector of each item, row 0 padding, shape ``(N + 1, D)``; an item whose vector is
            zero counts as unlike every other.

    Returns:
        Shape ``(B,)``; NaN for lists of fewer than two items.
    """
    is_item = item_ids > 0  # (B, K)
    units = normalize(vectors[item_ids].double(), dim=-1) * is_item.unsqueeze(-1)  # (B, K, D)
    sizes = is_item.sum(dim=1)
    # The squared norm of the sum holds each pair twice and each unit vector with itself.
    squares = units.sum(dim=1).square().sum(dim=-1) - units.square().sum(dim=(1, 2))
    return torch.where(sizes > 1, 1 - squares / (sizes * (sizes - 1)), torch.nan)


class CatalogMetric(Metric):
    """A figure of how often each item is recommended, summed over batches and processes."""

    is_differentiable = False
    full_state_update = False

    counts: Tensor

    def __init__(self, num_items: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_items = num_items
        self.add_state("counts", default=torch.zeros(num_items).long(), dist_reduce_fx="sum")

    @override
    def update(self, item_ids: Tensor) -> None:
        self.counts += recommended_counts(item_ids, self.num_items)


class Coverage(CatalogMetric):
    """Share of the catalog that the lists show.

    Example:
        >>> Coverage(num_items=4)(torch.tensor([[1, 2], [2, 0]]))
        tensor(0.5000, dtype=torch.float64)
    """

    higher_is_better = True

    @override
    def compute(self) -> Tensor:
        return coverage(self.counts)


class Gini(CatalogMetric):
    """Gini index of how often each item is recommended.

    Example:
        >>> Gini(num_items=4)(torch.tensor([[1], [1]]))
        tensor(0.7500, dtype=torch.float64)
    """

    higher_is_better = False

    @override
    def compute(self) -> Tensor:
        return gini(self.counts)


class PopularityMetric(CatalogMetric):
    """A figure that also reads the training count of each item, shape ``(N,)``."""

    train_counts: Tensor

    def __init__(self, train_counts: Tensor, **kwargs: Any) -> None:
        super().__init__(num_items=len(train_counts), **kwargs)
        self.register_buffer("train_counts", train_counts, persistent=False)


class Novelty(PopularityMetric):
    """Mean self-information of the recommended items, in bits.

    Example:
        >>> Novelty(torch.tensor([5, 1]))(torch.tensor([[2], [2]]))
        tensor(2., dtype=torch.float64)
    """

    higher_is_better = True

    @override
    def compute(self) -> Tensor:
        return novelty(self.counts, self.train_counts)


class PopularityBias(PopularityMetric):
    """How many times more popular the recommended items are than the catalog.

    Example:
        >>> PopularityBias(torch.tensor([8, 0]))(torch.tensor([[1], [1]]))
        tensor(2., dtype=torch.float64)
    """

    higher_is_better = False

    @override
    def compute(self) -> Tensor:
        return popularity_bias(self.counts, self.train_counts)


class IntraListDiversity(Metric):
    """Mean over lists of `intra_list_diversity`; lists of fewer than two items do not count.

    Args:
        vectors: A vector of each item, row 0 padding, shape ``(N + 1, D)``.

    Example:
        >>> IntraListDiversity(torch.eye(3))(torch.tensor([[1, 2], [1, 0]]))
        tensor(1., dtype=torch.float64)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    vectors: Tensor
    total: Tensor
    count: Tensor

    def __init__(self, vectors: Tensor, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.register_buffer("vectors", vectors, persistent=False)
        zero = torch.zeros((), dtype=torch.float64)
        self.add_state("total", default=zero, dist_reduce_fx="sum")
        self.add_state("count", default=torch.tensor(0), dist_reduce_fx="sum")

    @override
    def update(self, item_ids: Tensor) -> None:
        values = intra_list_diversity(item_ids, self.vectors)
        self.total += values.nansum()
        self.count += values.isfinite().sum()

    @override
    def compute(self) -> Tensor:
        return self.total / self.count
