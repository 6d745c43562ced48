"""The leading singular vectors of a sparse matrix, the same at every run."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

Floats = NDArray[np.float64]

NEGLIGIBLE = 1e-8
"""Singular values, and rows of factors, below this share of the largest are rounding errors."""


class Factors(NamedTuple):
    """Matrices whose product ``left @ right.T`` is near a given one. Shapes: N rows, M columns."""

    left: Floats
    """``U sqrt(S)``, shape ``(N, K)``."""
    right: Floats
    """``V sqrt(S)``, shape ``(M, K)``."""


def factorize(matrix: csr_array, dim: int) -> Factors:
    """Return the best factors of width ``dim`` of a sparse matrix (Eckart and Young, 1936).

    The iteration starts at a fixed vector, and the largest entry of each column of ``U`` is
    positive, so that equal input gives equal factors. Rows and columns without entries have zero
    factors, and so have those of which the leading directions say nothing.

    Args:
        matrix: Shape ``(N, M)``.
        dim: K; columns beyond the rank are zero.
    """
    rows = np.flatnonzero(np.diff(matrix.indptr))
    columns = np.unique(matrix.indices)
    left, right = np.zeros((matrix.shape[0], dim)), np.zeros((matrix.shape[1], dim))
    if len(rows) > 0:
        u, values, v = _leading(matrix[rows][:, columns], dim)
        signs = np.sign(np.take_along_axis(u, np.abs(u).argmax(axis=0)[None], axis=0))
        scale = signs * np.sqrt(values * (values > NEGLIGIBLE * values.max()))
        left[rows, : len(values)] = _cleared(u * scale)
        right[columns, : len(values)] = _cleared(v * scale)
    return Factors(left, right)


def _leading(matrix: csr_array, dim: int) -> tuple[Floats, Floats, Floats]:
    """Return left vectors, values and right vectors, the largest first."""
    smaller = min(matrix.shape)
    if smaller <= 2 * dim:  # the iteration wants more room than that
        u, values, vt = np.linalg.svd(matrix.toarray(), full_matrices=False)
    else:
        start = np.random.default_rng(0).standard_normal(smaller)
        u, values, vt = svds(matrix, k=dim, v0=start)
    order = np.argsort(-values)[:dim]
    return u[:, order], values[order], vt[order].T


def _cleared(factors: Floats) -> Floats:
    """Return ``factors`` without the rows that are rounding errors, which no scale may enlarge."""
    lengths = np.linalg.norm(factors, axis=1, keepdims=True)
    cleared: Floats = np.where(lengths > NEGLIGIBLE * lengths.max(), factors, 0.0)
    return cleared
