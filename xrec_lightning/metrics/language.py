"""Metrics of masked language modeling, in total and by domain."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric
from typing_extensions import override


class MaskedTokenMetrics(Metric):
    """Loss, perplexity and accuracy over all masked tokens, and perplexity of each domain.

    Args:
        domains: Names of the domains; domain index ``i`` is ``domains[i - 1]``.
    """

    full_state_update = False

    loss: Tensor
    correct: Tensor
    count: Tensor

    def __init__(self, domains: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.domains = tuple(domains)
        zeros = torch.zeros(len(domains) + 1, dtype=torch.float64)
        for name in ("loss", "correct", "count"):
            self.add_state(name, default=zeros.clone(), dist_reduce_fx="sum")

    @override
    def update(self, logits: Tensor, labels: Tensor, domain_ids: Tensor) -> None:
        """Add masked tokens: logits, shape ``(M, V)``, labels and domains, shape ``(M,)``."""
        losses = functional.cross_entropy(logits.float(), labels, reduction="none").double()
        correct = (logits.argmax(dim=1) == labels).double()
        # Not in place: a state that was reset in inference mode could not be updated outside of it.
        self.loss = self.loss.index_add(0, domain_ids, losses)
        self.correct = self.correct.index_add(0, domain_ids, correct)
        self.count = self.count.index_add(0, domain_ids, torch.ones_like(losses))

    @override
    def compute(self) -> dict[str, Tensor]:
        """Return ``loss``, ``perplexity``, ``masked_accuracy``, ``perplexity/<domain>``.

        Domains without masked tokens are left out; text of no domain counts in the totals.
        """
        loss = self.loss.sum() / self.count.sum()
        results = {
            "loss": loss,
            "perplexity": loss.exp(),
            "masked_accuracy": self.correct.sum() / self.count.sum(),
        }
        for index, name in enumerate(self.domains, start=1):
            if self.count[index] > 0:
                results[f"perplexity/{name}"] = (self.loss[index] / self.count[index]).exp()
        return results
