"""Metrics of a binary classifier, for all answers and for each class."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric
from torchmetrics.classification import (
    BinaryAUROC,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)
from torchmetrics.utilities.data import dim_zero_cat
from typing_extensions import override

PER_CLASS = {
    "precision": MulticlassPrecision,
    "recall": MulticlassRecall,
    "f1": MulticlassF1Score,
}


class BinaryReport(Metric):
    """Log-loss, accuracy, precision, recall, F1 and AUC of logits; a logit above 0 says yes.

    Args:
        per_class: Whether precision, recall, F1 and the number of answers of each class are
            reported too: ``precision/0``, ``precision/1``, …, ``support/1``.
    """

    full_state_update = False

    logits: list[Tensor]
    labels: list[Tensor]

    def __init__(self, *, per_class: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.per_class = per_class
        self.add_state("logits", default=[], dist_reduce_fx="cat")
        self.add_state("labels", default=[], dist_reduce_fx="cat")

    @override
    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add answers: logits and labels 0 or 1, both of shape ``(B,)``."""
        self.logits.append(logits.float())
        self.labels.append(labels)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Return the figures by name."""
        logits, labels = dim_zero_cat(self.logits), dim_zero_cat(self.labels)
        answers, truth = (logits > 0).long(), labels.long()
        loss = functional.binary_cross_entropy_with_logits(logits, labels.float())
        auc = BinaryAUROC().to(logits.device)(torch.sigmoid(logits), truth)
        accuracy = (answers == truth).float().mean()
        report = {"loss": loss, "accuracy": accuracy, "auc": auc}
        for name, metric in PER_CLASS.items():
            by_class = metric(num_classes=2, average="none").to(logits.device)(answers, truth)
            report[name] = by_class[1]
            if self.per_class:
                report |= {f"{name}/{label}": value for label, value in enumerate(by_class)}
        if self.per_class:
            report |= {f"support/{label}": (truth == label).float().sum() for label in (0, 1)}
        return report
