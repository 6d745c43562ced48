"""From the vector of a text to its class."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from xrec_lightning.models.heads.features import features, feed_forward


@dataclass(frozen=True, kw_only=True)
class MulticlassConfig:
    """Shape of a `MulticlassHead`."""

    hidden_dim: int = 0
    """Width of the hidden layer; 0 for a linear head."""
    dropout: float = 0.1
    """Share of the hidden layer that is dropped in training."""

    def build(self, dim: int, num_classes: int) -> "MulticlassHead":
        """Return the head over vectors of width ``dim``."""
        return MulticlassHead(self, dim, num_classes)


torch.serialization.add_safe_globals([MulticlassConfig])


class MulticlassHead(nn.Module):
    """From a vector to the logits of classes, all 0 before training. B texts, C classes."""

    def __init__(self, config: MulticlassConfig, dim: int, num_classes: int) -> None:
        super().__init__()
        self.layers = feed_forward(dim, config.hidden_dim, num_classes, config.dropout)

    @override
    def forward(self, vectors: Tensor) -> Tensor:
        """Return logits, shape ``(B, C)``, of B vectors, shape ``(B, D)``."""
        return self.layers(features(vectors))
