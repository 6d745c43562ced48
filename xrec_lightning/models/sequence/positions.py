"""Where an item stands in its history: learned embeddings and rotations."""

import torch
from torch import Tensor, nn
from typing_extensions import override


class PositionEmbedding(nn.Embedding):
    """A trainable vector for every position, zero before training.

    Shapes: B batch, L history length, D width.

    Args:
        max_seq_len: Longest history, in items; the window of a training target may hold one more.
        embed_dim: Width.
    """

    def __init__(self, max_seq_len: int, embed_dim: int) -> None:
        super().__init__(max_seq_len + 1, embed_dim)
        nn.init.zeros_(self.weight)

    @override
    def forward(self, inputs: Tensor) -> Tensor:
        """Return the vectors of the positions of ``inputs``, shape ``(L, D)``."""
        check_length(inputs.size(1), self.num_embeddings)
        return super().forward(torch.arange(inputs.size(1), device=inputs.device))


def check_length(length: int, longest: int) -> None:
    """Raise a ``ValueError`` where a history has more positions than the encoder knows."""
    if length > longest:
        raise ValueError(
            f"a history of {length} items is longer than the encoder's {longest - 1}: "
            "set its max_seq_len to that of data.init_args.max_seq_len"
        )


def rotate(vectors: Tensor, base: float = 10_000.0) -> Tensor:
    """Return ``vectors`` turned by angles that grow with their position (RoPE).

    The inner product of two turned vectors depends on the positions only by their distance (Su et
    al., 2021, arXiv:2104.09864).

    Args:
        vectors: Queries or keys, shape ``(..., L, D)`` with an even ``D``.
        base: The slowest pair of numbers turns once in ``2 * pi * base`` positions, nearly.
    """
    length, width = vectors.shape[-2:]
    pairs = torch.arange(0, width, 2, device=vectors.device) / width
    positions = torch.arange(length, device=vectors.device)
    angles = positions[:, None] / base**pairs  # (L, D / 2)
    sine, cosine = angles.sin().to(vectors.dtype), angles.cos().to(vectors.dtype)
    left, right = vectors.chunk(2, dim=-1)
    return torch.cat([left * cosine - right * sine, right * cosine + left * sine], dim=-1)
