"""Number formats of stored vectors: float32, float16, and int8 with a scale for each vector."""

import hashlib
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

VectorFormat = Literal["float32", "float16", "int8"]
Columns = dict[str, Tensor]
"""What is stored of vectors; all have one row a vector."""

VECTORS = "vectors"
SCALES = "scales"
_LARGEST = 127


def pack(vectors: Tensor, vector_format: str) -> Columns:
    """Return what is stored of vectors.

    An int8 vector is its numbers over its scale, rounded, and that scale: its largest absolute
    number over 127. No number is off by more than half a scale.

    Args:
        vectors: Float32, shape ``(M, D)``.
        vector_format: A `VectorFormat`.

    Example:
        >>> columns = pack(torch.tensor([[1.27, -0.5]]), "int8")
        >>> columns["vectors"].tolist()
        [[127, -50]]
    """
    if vector_format != "int8":
        return {VECTORS: vectors.to(getattr(torch, vector_format)).contiguous()}
    largest = vectors.abs().amax(dim=1) if vectors.numel() else vectors.new_zeros(len(vectors))
    scales = largest / _LARGEST
    levels = vectors / scales.clamp_min(torch.finfo(torch.float32).tiny)[:, None]
    return {VECTORS: levels.round().to(torch.int8), SCALES: scales}


def unpack(columns: Mapping[str, Tensor]) -> Tensor:
    """Return the vectors, float32, shape ``(M, D)``."""
    vectors = columns[VECTORS].float()
    return vectors * columns[SCALES][:, None] if SCALES in columns else vectors


def take(columns: Columns, rows: Tensor) -> Columns:
    """Return some rows of what is stored."""
    return {name: column[rows] for name, column in columns.items()}


def checksum(columns: Columns) -> str:
    """Return the hash of what is stored, 32 hexadecimal digits."""
    state = hashlib.sha256()
    for name, column in sorted(columns.items()):
        state.update(f"{name} {column.dtype} {tuple(column.shape)}".encode())
        state.update(column.contiguous().numpy().data)
    return state.hexdigest()[:32]
