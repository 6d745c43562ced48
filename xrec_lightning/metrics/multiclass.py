"""Metrics of a classifier of several classes, for all answers, each class and each domain."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat
from typing_extensions import override

from xrec_lightning.metrics.domains import rows_of_domains


def class_figures(confusion: Tensor) -> dict[str, Tensor]:
    """Return precision, recall, F1 and support of each class, shape ``(C,)``; 0 for 0 / 0.

    Args:
        confusion: How often each true class, a row, was taken for each class, shape ``(C, C)``.
    """
    confusion = confusion.double()
    hits, said, support = confusion.diagonal(), confusion.sum(dim=0), confusion.sum(dim=1)
    return {
        "precision": hits / said.clamp(min=1),
        "recall": hits / support.clamp(min=1),
        "f1": 2 * hits / (said + support).clamp(min=1),
        "support": support,
    }


class MulticlassReport(Metric):
    """Log-loss and accuracy, and macro precision, recall and F1, of logits.

    Macro figures are means over the classes that occur, as truth or as answer. All answers are
    kept, so the figures are those of one pass over all of them, whatever the batches and the
    processes.

    Args:
        classes: Names of the classes, in the order of the logits.
        domains: Names of the domains; domain index ``i`` is ``domains[i - 1]``.
        detailed: Whether precision, recall, F1 and support of each class that occurs are reported
            too, ``f1/CLASS``, and loss and accuracy of each domain, ``accuracy/DOMAIN``.
    """

    full_state_update = False

    losses: list[Tensor]
    answers: list[Tensor]
    labels: list[Tensor]
    domain_ids: list[Tensor]

    def __init__(
        self,
        classes: Sequence[str],
        domains: Sequence[str] = (),
        *,
        detailed: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.classes = tuple(classes)
        self.domains = tuple(domains)
        self.detailed = detailed
        for name in ("losses", "answers", "labels", "domain_ids"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    @override
    def update(self, logits: Tensor, labels: Tensor, domain_ids: Tensor) -> None:
        """Add answers: logits of shape ``(B, C)``, class and domain indices of shape ``(B,)``."""
        self.losses.append(functional.cross_entropy(logits.float(), labels, reduction="none"))
        self.answers.append(logits.argmax(dim=1))
        self.labels.append(labels)
        self.domain_ids.append(domain_ids)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Return the figures by name."""
        losses = dim_zero_cat(self.losses).double()
        answers, labels = dim_zero_cat(self.answers), dim_zero_cat(self.labels)
        size = len(self.classes)
        confusion = torch.bincount(labels * size + answers, minlength=size * size).view(size, size)
        by_class = class_figures(confusion)
        occurs = (confusion.sum(dim=0) + confusion.sum(dim=1)) > 0
        hits = (answers == labels).double()
        report = {"loss": losses.mean(), "accuracy": hits.mean()}
        report |= {k: v[occurs].mean() for k, v in by_class.items() if k != "support"}
        if self.detailed:
            for index in occurs.nonzero().squeeze(1).tolist():
                name = self.classes[index]
                report |= {f"{figure}/{name}": v[index] for figure, v in by_class.items()}
            for domain, rows in rows_of_domains(dim_zero_cat(self.domain_ids), self.domains):
                report[f"loss/{domain}"] = losses[rows].mean()
                report[f"accuracy/{domain}"] = hits[rows].mean()
        return {name: value.float() for name, value in report.items()}
