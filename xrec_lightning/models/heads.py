"""What stands on a language tower to learn a task: the contrastive and the click head."""

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


@dataclass(frozen=True, kw_only=True)
class ClickConfig:
    """Shape of a `ClickHead`."""

    hidden_dim: int = 128
    """Width of the correction's hidden layer; 0 for a linear correction."""
    dropout: float = 0.1
    """Share of the hidden layer that is dropped in training."""
    scale: float = 2.0
    """Factor of the cosine at the start; it is learned."""
    threshold: float = 0.6
    """Cosine at which yes and no are as likely at the start; it is learned."""

    def build(self, dim: int) -> "ClickHead":
        """Return the head over vectors of width ``dim``."""
        return ClickHead(self, dim)


torch.serialization.add_safe_globals([ContrastiveConfig, ClickConfig])


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


class ClickHead(nn.Module):
    """From the vectors of history and candidate to the logit of a click. B pairs, D width.

    The cosine, scaled, and a correction learned from both vectors, their distance and their
    product. The correction starts at 0, so an untrained head ranks by cosine.
    """

    def __init__(self, config: ClickConfig, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(config.scale))
        self.threshold = nn.Parameter(torch.tensor(config.threshold))
        layers: list[nn.Module] = []
        if config.hidden_dim > 0:
            hidden = nn.Linear(4 * dim, config.hidden_dim)
            layers = [hidden, nn.GELU(), nn.Dropout(config.dropout)]
        last = nn.Linear(config.hidden_dim or 4 * dim, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.correction = nn.Sequential(*layers, last)

    @override
    def forward(self, history: Tensor, candidate: Tensor) -> Tensor:
        """Return logits, shape ``(B,)``, of two times B vectors, shape ``(B, D)`` each."""
        history = functional.normalize(history, dim=1)
        candidate = functional.normalize(candidate, dim=1)
        product = history * candidate  # (B, D)
        features = torch.cat([history, candidate, (history - candidate).abs(), product], dim=1)
        # Unit vectors have tiny entries; a linear layer starts well on entries of about 1.
        correction = self.correction(features * math.sqrt(history.size(1))).squeeze(1)
        return self.scale * (product.sum(dim=1) - self.threshold) + correction
