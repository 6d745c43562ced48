"""Metrics of language modeling, in total and by domain."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override


class TokenMetrics(Metric):
    """Loss, perplexity and accuracy over all predicted tokens and over those of each domain.

    Args:
        domains: Names of the domains; domain index ``i`` is ``domains[i - 1]``.
        accuracy: What the share of tokens that had the highest logit is called.
    """

    full_state_update = False

    loss: Tensor
    correct: Tensor
    count: Tensor

    def __init__(
        self, domains: Sequence[str], accuracy: str = "masked_accuracy", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.domains = tuple(domains)
        self.accuracy = accuracy
        zeros = torch.zeros(len(domains) + 1, dtype=torch.float64)
        for name in ("loss", "correct", "count"):
            self.add_state(name, default=zeros.clone(), dist_reduce_fx="sum")

    @override
    def update(self, losses: Tensor, is_correct: Tensor, domain_ids: Tensor) -> None:
        """Add predicted tokens, each of shape ``(M,)``."""
        # Not in place: a state that was reset in inference mode could not be updated outside of it.
        self.loss = self.loss.index_add(0, domain_ids, losses.double())
        self.correct = self.correct.index_add(0, domain_ids, is_correct.double())
        ones = torch.ones_like(losses, dtype=torch.float64)
        self.count = self.count.index_add(0, domain_ids, ones)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Return ``loss``, ``perplexity``, accuracy, and the latter two with ``/<domain>``.

        Domains without predicted tokens are left out; text of no domain counts in the totals.
        """
        loss = self.loss.sum() / self.count.sum()
        results = {
            "loss": loss,
            "perplexity": loss.exp(),
            self.accuracy: self.correct.sum() / self.count.sum(),
        }
        for index, name in enumerate(self.domains, start=1):
            count = self.count[index]
            if count > 0:
                results[f"perplexity/{name}"] = (self.loss[index] / count).exp()
                results[f"{self.accuracy}/{name}"] = self.correct[index] / count
        return results
