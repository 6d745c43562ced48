"""From the hidden states of a text's tokens to one vector."""

from typing import Literal

import torch
from torch import Tensor

Pooling = Literal["mean", "first", "last", "weighted"]
"""Mean of the real tokens, the first one (CLS of BERT), the last one (causal models), or the mean
weighted by position, 1 for the first token, 2 for the second and so on (causal models: SGPT,
Muennighoff, 2022, arXiv:2202.08904)."""


def pool(hidden: Tensor, attention_mask: Tensor, pooling: Pooling) -> Tensor:
    """Return one vector a text.

    Args:
        hidden: Hidden states, shape ``(B, L, D)``.
        attention_mask: True at real tokens; padding is on the right or on the left, ``(B, L)``.
        pooling: Which states count.

    Returns:
        Shape ``(B, D)``, of the type of ``hidden``; zero for a text without real token.

    Example:
        >>> hidden = torch.tensor([[[1.0], [4.0], [9.0]]])
        >>> mask = torch.tensor([[True, True, False]])
        >>> pool(hidden, mask, "mean"), pool(hidden, mask, "weighted")
        (tensor([[2.5000]]), tensor([[3.]]))
    """
    places = attention_mask.cumsum(dim=1)  # 1 at the first real token, whichever side is padded
    match pooling:
        case "mean":
            return _average(hidden, attention_mask)
        case "weighted":
            return _average(hidden, places * attention_mask)
        case "first":
            columns = attention_mask.int().argmax(dim=1)
        case "last":
            columns = (places * attention_mask).argmax(dim=1)
    states = hidden[torch.arange(len(hidden), device=hidden.device), columns]
    return states * attention_mask.any(dim=1, keepdim=True).to(hidden.dtype)


def _average(hidden: Tensor, weights: Tensor) -> Tensor:
    """Return the mean of the states by ``weights``, summed in float32, shape ``(B, D)``."""
    shares = weights.float().unsqueeze(-1)
    mean = (hidden.float() * shares).sum(dim=1) / shares.sum(dim=1).clamp(min=1)
    return mean.to(hidden.dtype)
