"""Rows of all processes, for losses that compare the rows of a batch with each other."""

from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows of all processes, those of the first one first, shape ``(W * B, ...)``.

    Every process must have as many, and compute the same loss from what it gets. Gradients then
    need no communication of their own: each process takes those of its rows, times the number of
    processes, since data parallel training averages over processes.

    Args:
        rows: Shape ``(B, ...)``.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return rows
    return _Gather.apply(rows)  # type: ignore[no-untyped-call]  # torch's own


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        world_size = distributed.get_world_size()
        ctx.start, ctx.count = distributed.get_rank() * len(rows), len(rows)
        ctx.world_size = world_size
        parts = [torch.empty_like(rows) for _ in range(world_size)]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient[ctx.start : ctx.start + ctx.count] * ctx.world_size
