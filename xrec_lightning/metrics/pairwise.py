"""How often a choice is put above a negative of its prompt."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override


class PairwiseAccuracy(Metric):
    """Share of pairs that are in order, of all and of each domain; ties count half.

    The state is counts, so the result is the same to the last bit in any order of batches and on
    any number of processes.

    Args:
        domains: Names of the domains; domain index ``i`` is ``domains[i - 1]``.

    Example:
        >>> accuracy = PairwiseAccuracy(["tea"])
        >>> accuracy.update(torch.tensor([2.0, -1.0, 0.0, 3.0]), torch.tensor([1, 1, 0, 0]))
        >>> {name: value.item() for name, value in accuracy.compute().items()}
        {'pairwise_accuracy': 0.625, 'pairwise_accuracy/tea': 0.5}
    """

    full_state_update = False

    halves: Tensor
    counts: Tensor

    def __init__(self, domains: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.domains = tuple(domains)
        zeros = torch.zeros(1 + len(self.domains), dtype=torch.int64)
        self.add_state("halves", default=zeros, dist_reduce_fx="sum")
        self.add_state("counts", default=zeros.clone(), dist_reduce_fx="sum")

    @override
    def update(self, differences: Tensor, domain_ids: Tensor) -> None:
        """Add pairs.

        Args:
            differences: Scores of choices less those of negatives, shape ``(P,)``.
            domain_ids: Their domains, shape ``(P,)``.
        """
        halves = 1 + differences.sign().long()
        # Not in place: after a reset in inference mode that would fail in a fit.
        self.halves = self.halves.index_add(0, domain_ids, halves)
        self.counts = self.counts.index_add(0, domain_ids, torch.ones_like(halves))

    @override
    def compute(self) -> dict[str, Tensor]:
        """Return the shares by name; domains without pairs are left out."""
        figures = {"pairwise_accuracy": self.halves.sum() / (2 * self.counts.sum())}
        for index, name in enumerate(self.domains, start=1):
            if self.counts[index] > 0:
                share = self.halves[index] / (2 * self.counts[index])
                figures[f"pairwise_accuracy/{name}"] = share
        return figures
