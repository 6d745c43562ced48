"""How the losses of several tasks become one."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override


@dataclass(frozen=True, kw_only=True)
class BalanceConfig(ABC):
    """How the losses of several tasks become one."""

    @abstractmethod
    def build(self, weights: Mapping[str, float]) -> nn.Module:
        """Return a module that turns losses by task into one, shape ``()``.

        Args:
            weights: Given weight of each task.
        """


@dataclass(frozen=True, kw_only=True)
class FixedBalance(BalanceConfig):
    """Add the losses, each times the weight of its task."""

    @override
    def build(self, weights: Mapping[str, float]) -> "WeightedSum":
        return WeightedSum(weights)


@dataclass(frozen=True, kw_only=True)
class UncertaintyBalance(BalanceConfig):
    """Weigh each loss by a learned precision (Kendall et al., 2018, arXiv:1705.07115)."""

    @override
    def build(self, weights: Mapping[str, float]) -> "UncertaintySum":
        return UncertaintySum(weights)


torch.serialization.add_safe_globals([FixedBalance, UncertaintyBalance])


class WeightedSum(nn.Module):
    """The sum of losses times given weights."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.weights = dict(weights)

    @override
    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return one loss, shape ``()``, of those by task."""
        return torch.stack([self.weights[name] * loss for name, loss in losses.items()]).sum()


class UncertaintySum(nn.Module):
    """The sum of ``exp(-s) * weight * loss + s`` over tasks, with a learned ``s`` for each.

    At its minimum ``exp(s)`` is the loss itself, so that every task pulls alike. The paper halves
    terms of regression; we do not, and the given weight takes the place of that factor.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.weights = dict(weights)
        self.log_scales = nn.ParameterDict({name: torch.zeros(()) for name in weights})

    @override
    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return one loss, shape ``()``, of those by task."""
        terms = [
            (-self.log_scales[name]).exp() * self.weights[name] * loss + self.log_scales[name]
            for name, loss in losses.items()
        ]
        return torch.stack(terms).sum()
