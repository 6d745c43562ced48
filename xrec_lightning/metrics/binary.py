"""Metrics of a binary classifier, for all answers, for each class and for each domain."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat
from typing_extensions import override

from xrec_lightning.metrics.calibration import brier_score, calibration_error
from xrec_lightning.metrics.domains import rows_of_domains
from xrec_lightning.metrics.multiclass import class_figures


def area_under_curve(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the share of pairs of a yes and a no that are in order, shape ``()``; ties count half.

    NaN where there is no such pair.

    Args:
        scores: Comparable with each other, shape ``(B,)``.
        labels: 0 or 1, shape ``(B,)``.

    Example:
        >>> area_under_curve(torch.tensor([3.0, 1.0, 1.0]), torch.tensor([1, 0, 1]))
        tensor(0.7500, dtype=torch.float64)
    """
    _, places, counts = torch.unique(scores, return_inverse=True, return_counts=True)
    last = counts.cumsum(0)
    mean_ranks = (last - (counts - 1) / 2).double()[places]  # from 1, ties share theirs
    is_yes = labels > 0
    num_yes, num_no = is_yes.sum().double(), (~is_yes).sum().double()
    below = mean_ranks[is_yes].sum() - num_yes * (num_yes + 1) / 2
    return below / (num_yes * num_no)


class AreaUnderCurve(Metric):
    """AUC of scores, of all answers and of each domain.

    Args:
        domains: Names of the domains; domain index ``i`` is ``domains[i - 1]``.
    """

    full_state_update = False

    scores: list[Tensor]
    labels: list[Tensor]
    domain_ids: list[Tensor]

    def __init__(self, domains: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.domains = tuple(domains)
        for name in ("scores", "labels", "domain_ids"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    @override
    def update(self, scores: Tensor, labels: Tensor, domain_ids: Tensor) -> None:
        """Add answers: scores, labels 0 or 1 and domain indices, each of shape ``(B,)``."""
        self.scores.append(scores)
        self.labels.append(labels)
        self.domain_ids.append(domain_ids)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Return the AUC by "" and, as "/DOMAIN", of domains with both answers."""
        scores, labels = dim_zero_cat(self.scores), dim_zero_cat(self.labels)
        figures = {"": area_under_curve(scores, labels).float()}
        for name, rows in rows_of_domains(dim_zero_cat(self.domain_ids), self.domains):
            value = area_under_curve(scores[rows], labels[rows]).float()
            if not value.isnan():
                figures[f"/{name}"] = value
        return figures


class BinaryReport(Metric):
    """Log-loss, accuracy, precision, recall, F1, AUC, calibration error and Brier score of logits.

    A logit above 0 says yes. All answers are kept, so the figures are those of one pass over all of
    them, whatever the batches and the processes.

    Args:
        domains: Names of the domains; domain index ``i`` is ``domains[i - 1]``.
        detailed: Whether precision, recall, F1 and the number of answers of each class are reported
            too, ``precision/0``, ``precision/1``, …, ``support/1``, and what does not depend on the
            class for each domain: ``auc/DOMAIN``.
    """

    full_state_update = False

    logits: list[Tensor]
    labels: list[Tensor]
    domain_ids: list[Tensor]

    def __init__(
        self, domains: Sequence[str] = (), *, detailed: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.domains = tuple(domains)
        self.detailed = detailed
        for name in ("logits", "labels", "domain_ids"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    @override
    def update(self, logits: Tensor, labels: Tensor, domain_ids: Tensor) -> None:
        """Add answers: logits, labels 0 or 1 and domain indices, each of shape ``(B,)``."""
        self.logits.append(logits.float())
        self.labels.append(labels)
        self.domain_ids.append(domain_ids)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Return the figures by name; AUC is left out of domains where only one answer occurs."""
        logits, labels = dim_zero_cat(self.logits), dim_zero_cat(self.labels)
        by_class = _by_class((logits > 0).long(), labels.long())
        report = _overall(logits, labels)
        report |= {name: values[1] for name, values in by_class.items() if name != "support"}
        if self.detailed:
            for name, values in by_class.items():
                report |= {f"{name}/{label}": value for label, value in enumerate(values)}
            for domain, rows in rows_of_domains(dim_zero_cat(self.domain_ids), self.domains):
                figures = _overall(logits[rows], labels[rows])
                report |= {f"{k}/{domain}": v for k, v in figures.items() if not v.isnan()}
        return {name: value.float() for name, value in report.items()}


def _overall(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    probabilities, truth = torch.sigmoid(logits.double()), labels.double()
    return {
        "loss": functional.binary_cross_entropy_with_logits(logits.double(), truth),
        "accuracy": ((logits > 0) == (labels > 0)).double().mean(),
        "auc": area_under_curve(logits, labels),
        "ece": calibration_error(probabilities, truth),
        "brier": brier_score(probabilities, truth),
    }


def _by_class(answers: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Return precision, recall, F1 and support of no and of yes, shape ``(2,)`` each."""
    confusion = torch.bincount(2 * truth + answers, minlength=4).view(2, 2).double()
    return class_figures(confusion)
