"""Symmetric InfoNCE over pairs of vectors."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override


@dataclass(frozen=True, kw_only=True)
class ContrastiveConfig:
    """Temperature of a `ContrastiveHead`."""

    temperature: float = 0.05
    """Divisor of the cosines at the start; it is learned."""
    min_temperature: float = 0.01
    """The learned temperature stays above."""

    def build(self) -> "ContrastiveHead":
        """Return the head."""
        return ContrastiveHead(self)


torch.serialization.add_safe_globals([ContrastiveConfig])


class ContrastiveHead(nn.Module):
    """Symmetric InfoNCE over a batch of pairs (Radford et al., 2021, arXiv:2103.00020).

    Pairs that share an item are no negatives of each other, and the other side of a pair never
    is one of itself. Shapes: B pairs, D width.
    """

    def __init__(self, config: ContrastiveConfig) -> None:
        super().__init__()
        self.log_temperature = nn.Parameter(torch.tensor(math.log(config.temperature)))
        self.min_log_temperature = math.log(config.min_temperature)

    @property
    def temperature(self) -> Tensor:
        """The learned divisor of the cosines, shape ``()``."""
        return self.log_temperature.clamp(min=self.min_log_temperature).exp()

    @override
    def forward(self, left: Tensor, right: Tensor, left_ids: Tensor, right_ids: Tensor) -> Tensor:
        """Return the mean loss of choosing the right side of each left one and the reverse.

        Args:
            left: Vectors of the left sides, shape ``(B, D)``.
            right: Vectors of the right sides, shape ``(B, D)``.
            left_ids: Items of the left sides, shape ``(B,)``.
            right_ids: Items of the right sides, shape ``(B,)``.
        """
        cosines = functional.normalize(left, dim=1) @ functional.normalize(right, dim=1).T
        logits = cosines / self.temperature  # (B, B)
        is_self = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        shared = (left_ids[:, None] == left_ids) | (right_ids[:, None] == right_ids)
        crossed = left_ids[:, None] == right_ids
        logits = logits.masked_fill((shared | crossed) & ~is_self, float("-inf"))
        answers = torch.arange(len(logits), device=logits.device)
        forth = functional.cross_entropy(logits, answers)
        back = functional.cross_entropy(logits.T, answers)
        return (forth + back) / 2
