"""From the vectors of a prompt to a rating."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from xrec_lightning.models.heads.features import features, feed_forward, num_features


@dataclass(frozen=True, kw_only=True)
class RatingConfig:
    """Shape of a `RatingHead`."""

    hidden_dim: int = 128
    """Width of the hidden layer; 0 for a linear head."""
    dropout: float = 0.1
    """Share of the hidden layer that is dropped in training."""

    def build(self, dim: int, texts: int) -> "RatingHead":
        """Return the head over vectors of width ``dim``, of one text a prompt or of two."""
        return RatingHead(self, dim, texts)


torch.serialization.add_safe_globals([RatingConfig])


class RatingHead(nn.Module):
    """From one vector or two to a standardized rating: 0, the mean, before training. B prompts."""

    def __init__(self, config: RatingConfig, dim: int, texts: int) -> None:
        super().__init__()
        width = num_features(dim, texts)
        self.layers = feed_forward(width, config.hidden_dim, 1, config.dropout)

    @override
    def forward(self, *vectors: Tensor) -> Tensor:
        """Return ratings in standard deviations from the mean, shape ``(B,)``.

        Args:
            vectors: One or two, of shape ``(B, D)`` each.
        """
        return self.layers(features(*vectors)).squeeze(1)
