"""Whitening of knowledge vectors: decorrelated directions of equal variance."""

from dataclasses import dataclass

import torch
from torch import Tensor

RELATIVE_FLOOR = 1e-6
"""Directions whose variance is below this share of the largest are noise and stay small."""


@dataclass(frozen=True)
class Whitening:
    """A fitted whitening map. Shapes: M vectors, D their width, K kept components."""

    mean: Tensor
    """Shape ``(D,)``."""
    projection: Tensor
    """Columns are principal directions divided by their standard deviations, ``(D, K)``."""

    @classmethod
    def fit(cls, vectors: Tensor, dim: int) -> "Whitening":
        """Return the whitening of ``vectors`` onto their ``dim`` directions of most variance.

        PCA by eigendecomposition of the covariance in float64 (Su et al., 2021,
        arXiv:2103.15316). The sign of each direction is fixed, so that equal input gives equal
        output on every machine.

        Args:
            vectors: Vectors to fit on, shape ``(M, D)``, M > 1.
            dim: Components to keep, at most D.

        Raises:
            ValueError: If ``dim`` is larger than D or there are fewer than two vectors.
        """
        if dim > vectors.size(1):
            raise ValueError(
                f"cannot whiten vectors of width {vectors.size(1)} to {dim} components: "
                f"set the width to at most {vectors.size(1)}"
            )
        if len(vectors) < 2:
            raise ValueError(f"whitening needs at least 2 vectors to fit on, got {len(vectors)}")
        wide = vectors.double()
        variances, directions = torch.linalg.eigh(torch.cov(wide.T))
        variances, directions = variances.flip(0)[:dim], directions.flip(1)[:, :dim]
        peaks = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
        floor = variances[0].clamp_min(1e-12) * RELATIVE_FLOOR
        projection = directions * peaks.sign() / variances.clamp_min(floor).sqrt()
        return cls(mean=wide.mean(dim=0).float(), projection=projection.float())

    def apply(self, vectors: Tensor) -> Tensor:
        """Return whitened vectors, shape ``(M, K)``; zero vectors stay zero."""
        is_present = vectors.abs().sum(dim=1, keepdim=True) > 0
        return (vectors - self.mean) @ self.projection * is_present
