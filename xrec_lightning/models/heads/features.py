"""From the vectors of a prompt's texts to what heads read of them."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def features(*vectors: Tensor) -> Tensor:
    """Return what a head reads: one vector, or two, their distance and their product.

    Args:
        vectors: One or two, of shape ``(B, D)`` each; their lengths do not matter.

    Returns:
        Entries of about 1, shape ``(B, D)`` or ``(B, 4 D)``.
    """
    unit = [functional.normalize(each, dim=1) for each in vectors]
    if len(unit) == 2:
        unit += [(unit[0] - unit[1]).abs(), unit[0] * unit[1]]
    # Unit vectors have tiny entries; a linear layer starts well on entries of about 1.
    return torch.cat(unit, dim=1) * math.sqrt(vectors[0].size(1))


def num_features(dim: int, texts: int) -> int:
    """Return the width of `features` of one or two vectors of width ``dim``."""
    return dim if texts == 1 else 4 * dim


def feed_forward(width: int, hidden_dim: int, outputs: int, dropout: float) -> nn.Sequential:
    """Return a classifier that says 0 before it is trained.

    Args:
        width: Of its input.
        hidden_dim: Width of its hidden layer; 0 for a linear one.
        outputs: Of its output.
        dropout: Share of the hidden layer that is dropped in training.
    """
    layers: list[nn.Module] = []
    if hidden_dim > 0:
        layers = [nn.Linear(width, hidden_dim), nn.GELU(), nn.Dropout(dropout)]
    last = nn.Linear(hidden_dim or width, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)
