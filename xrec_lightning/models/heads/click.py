"""From the vectors of a history and of a candidate to the logit of a choice."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override


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


torch.serialization.add_safe_globals([ClickConfig])


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
