"""Errors of predicted numbers, for all of them and for each domain."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat
from typing_extensions import override

from xrec_lightning.metrics.domains import rows_of_domains


class RegressionReport(Metric):
    """Root mean squared error and mean absolute error, in the units of the labels.

    All answers are kept, so the figures are those of one pass over all of them, whatever the
    batches and the processes.

    Args:
        domains: Names of the domains; domain index ``i`` is ``domains[i - 1]``.

    Example:
        >>> import torch
        >>> report = RegressionReport([])
        >>> report.update(torch.tensor([1.0, 5.0]), torch.tensor([1.0, 3.0]), torch.tensor([1, 1]))
        >>> {name: round(value.item(), 3) for name, value in report.compute().items()}
        {'rmse': 1.414, 'mae': 1.0}
    """

    full_state_update = False

    predicted: list[Tensor]
    labels: list[Tensor]
    domain_ids: list[Tensor]

    def __init__(self, domains: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.domains = tuple(domains)
        for name in ("predicted", "labels", "domain_ids"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    @override
    def update(self, predicted: Tensor, labels: Tensor, domain_ids: Tensor) -> None:
        """Add predictions, labels and domain indices, each of shape ``(B,)``."""
        self.predicted.append(predicted.float())
        self.labels.append(labels)
        self.domain_ids.append(domain_ids)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Return the figures by name, those of a domain as ``rmse/DOMAIN``."""
        errors = dim_zero_cat(self.predicted).double() - dim_zero_cat(self.labels).double()
        report = _errors(errors)
        for domain, rows in rows_of_domains(dim_zero_cat(self.domain_ids), self.domains):
            report |= {f"{name}/{domain}": value for name, value in _errors(errors[rows]).items()}
        return {name: value.float() for name, value in report.items()}


def _errors(errors: Tensor) -> dict[str, Tensor]:
    return {"rmse": errors.square().mean().sqrt(), "mae": errors.abs().mean()}
