"""Time between interactions, in buckets that grow by powers of two."""

import torch
from torch import Tensor, nn
from typing_extensions import override

NUM_BUCKETS = 32
"""Bucket 0 holds equal times, bucket ``i`` spans of ``2**(i - 1)`` seconds up to twice as much."""


def time_buckets(seconds: Tensor) -> Tensor:
    """Return the bucket of each span of time, int64, of the same shape; negative spans are 0.

    Example:
        >>> time_buckets(torch.tensor([-5, 0, 1, 2, 3, 4, 86_400, 2**40])).tolist()
        [0, 0, 1, 2, 2, 3, 17, 31]
    """
    bounds = 2 ** torch.arange(NUM_BUCKETS - 1, device=seconds.device)
    return torch.bucketize(seconds, bounds, right=True)


class GapEmbedding(nn.Embedding):
    """A trainable vector for the time since the interaction before, zero before training.

    The first interaction of a history has a vector of its own. Shapes: B batch, L history length,
    D width.
    """

    def __init__(self, embed_dim: int) -> None:
        super().__init__(NUM_BUCKETS + 1, embed_dim)
        nn.init.zeros_(self.weight)

    @override
    def forward(self, times: Tensor) -> Tensor:
        """Return the vectors of the gaps before ``times``, shape ``(B, L, D)``."""
        gaps = time_buckets(times.diff(dim=1))
        first = torch.full_like(times[:, :1], NUM_BUCKETS)
        return super().forward(torch.cat([first, gaps], dim=1))
