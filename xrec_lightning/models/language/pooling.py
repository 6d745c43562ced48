"""From the hidden states of a text's tokens to one vector."""

from typing import Literal

import torch
from torch import Tensor

Pooling = Literal["mean", "first", "last"]
"""Mean of the real tokens, the first token (CLS of BERT), or the last real one (causal models)."""


def pool(hidden: Tensor, attention_mask: Tensor, pooling: Pooling) -> Tensor:
    """Return one vector a text.

    Args:
        hidden: Hidden states, shape ``(B, L, D)``.
        attention_mask: True at real tokens, right-padded, shape ``(B, L)``.
        pooling: Which states count.

    Returns:
        Shape ``(B, D)``; zero for a text without real token.

    Example:
        >>> hidden = torch.tensor([[[1.0], [3.0], [9.0]]])
        >>> pool(hidden, torch.tensor([[True, True, False]]), "mean")
        tensor([[2.]])
    """
    lengths = attention_mask.sum(dim=1)
    match pooling:
        case "mean":
            weights = attention_mask.to(hidden.dtype).unsqueeze(-1)
            return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
        case "first":
            states = hidden[:, 0]
        case "last":
            rows = torch.arange(len(hidden), device=hidden.device)
            states = hidden[rows, (lengths - 1).clamp(min=0)]
    return states * (lengths > 0).unsqueeze(-1).to(hidden.dtype)
