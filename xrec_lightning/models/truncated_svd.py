"""The leading singular vectors of a sparse matrix, the same at every run."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Floats = NDArray[np.float64]

OVERSAMPLING = 16
"""Directions beyond those wanted that the iteration carries along."""
ITERATIONS = 4
"""Steps of the iteration; co-occurrence ranks no better with more, which were tried up to 12, nor
with the exact vectors, which take many times as long."""
NEGLIGIBLE = 1e-6
"""Singular values, and rows of factors, below this share of the largest are rounding errors."""


class Factors(NamedTuple):
    """Matrices whose product ``left @ right.T`` is near a given one. Shapes: N rows, M columns."""

    left: Floats
    """``U sqrt(S)``, shape ``(N, K)``."""
    right: Floats
    """``V sqrt(S)``, shape ``(M, K)``."""


def factorize(matrix: csr_array, dim: int) -> Factors:
    """Return factors of width ``dim`` of a sparse matrix, from its leading singular vectors.

    Randomized subspace iteration (Halko, Martinsson and Tropp, 2011, arXiv:0909.4061): exact where
    the singular values fall fast or the matrix is small, near it elsewhere. It starts at a fixed
    block, and the largest entry of each column of ``U`` is positive, so that equal input gives
    equal factors. Rows and columns without entries have zero factors, and so have those of which
    the leading directions say nothing.

    Args:
        matrix: Shape ``(N, M)``.
        dim: K; columns beyond the rank are zero.
    """
    rows = np.flatnonzero(np.diff(matrix.indptr))
    columns = np.unique(matrix.indices)
    left, right = np.zeros((matrix.shape[0], dim)), np.zeros((matrix.shape[1], dim))
    if len(rows) > 0:
        u, values, vt = _leading(matrix[rows][:, columns], dim + OVERSAMPLING)
        u, values, v = u[:, :dim], values[:dim], vt[:dim].T
        signs = np.sign(np.take_along_axis(u, np.abs(u).argmax(axis=0)[None], axis=0))
        scale = signs * np.sqrt(values * (values > NEGLIGIBLE * values.max()))
        left[rows, : len(values)] = _cleared(u * scale)
        right[columns, : len(values)] = _cleared(v * scale)
    return Factors(left, right)


def _leading(matrix: csr_array, dim: int) -> tuple[Floats, Floats, Floats]:
    """Return left vectors, values and right vectors, the largest first."""
    if min(matrix.shape) <= dim:
        return np.linalg.svd(matrix.toarray(), full_matrices=False)
    transposed = matrix.T.tocsr()
    block = np.random.default_rng(0).standard_normal((matrix.shape[1], dim))
    for _ in range(ITERATIONS):
        block, _ = np.linalg.qr(transposed @ (matrix @ block))
    basis, _ = np.linalg.qr(matrix @ block)
    u, values, vt = np.linalg.svd((transposed @ basis).T, full_matrices=False)
    return basis @ u, values, vt


def _cleared(factors: Floats) -> Floats:
    """Return ``factors`` without the rows that are rounding errors, which no scale may enlarge."""
    lengths = np.linalg.norm(factors, axis=1, keepdims=True)
    cleared: Floats = np.where(lengths > NEGLIGIBLE * lengths.max(), factors, 0.0)
    return cleared
