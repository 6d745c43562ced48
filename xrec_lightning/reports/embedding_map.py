"""Maps of item vectors by domain: do the domains lie apart, or does one help the other?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]


class EmbeddingMap(NamedTuple):
    """Item vectors in the plane. N items."""

    title: str
    points: Floats
    """Shape ``(N, 2)``."""
    domain_ids: Ints
    """Domain of each item, counted from 0, shape ``(N,)``."""
    share: float
    """Share of the variance of the vectors that lies between domains, in all their dimensions."""


def draw_map(
    title: str, vectors: Floats, domain_ids: Ints, *, max_items: int = 1500, seed: int = 0
) -> EmbeddingMap:
    """Return a map of item vectors on the two axes along which they vary most.

    Args:
        title: What the vectors are.
        vectors: Shape ``(N, D)``.
        domain_ids: Domain of each item, counted from 0, shape ``(N,)``.
        max_items: Items of each domain that are shown; they are drawn at random.
        seed: Seed of that.
    """
    share = between_share(vectors, domain_ids)
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(domain_ids == domain) for domain in np.unique(domain_ids)]
    chosen = np.concatenate([generator.permutation(own)[:max_items] for own in members])
    return EmbeddingMap(title, project(vectors)[chosen], domain_ids[chosen], share)


def project(vectors: Floats) -> Floats:
    """Return the first two principal components of vectors, shape ``(N, 2)``.

    Each axis points to where its largest entry is positive, so that equal vectors make equal maps.
    """
    centered = vectors - vectors.mean(axis=0)
    axes = np.linalg.eigh(centered.T @ centered)[1][:, ::-1][:, :2]  # (D, 2)
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    points = centered @ (axes * np.sign(largest))
    missing = 2 - points.shape[1]
    return np.pad(points, ((0, 0), (0, missing))) if missing else points


def between_share(vectors: Floats, domain_ids: Ints) -> float:
    """Return which share of the variance of vectors lies between the means of their domains.

    Example:
        >>> between_share(np.array([[0.0], [0.0], [2.0], [2.0]]), np.array([0, 0, 1, 1]))
        1.0
    """
    centered = vectors - vectors.mean(axis=0)
    total = float((centered**2).sum())
    between = 0.0
    for domain in np.unique(domain_ids):
        own = centered[domain_ids == domain]
        between += len(own) * float((own.mean(axis=0) ** 2).sum())
    return between / total if total > 0 else 0.0


def home_domains(candidates: Sequence[Ints], num_items: int) -> Ints:
    """Return the domain of each item, counted from 0, -1 of those in none or several.

    Args:
        candidates: Item indices, from 1, of each domain.
        num_items: Number of items.
    """
    homes = np.full(num_items + 1, -1)
    counts = np.zeros(num_items + 1, dtype=np.int64)
    for domain, item_ids in enumerate(candidates):
        homes[item_ids] = domain
        counts[item_ids] += 1
    homes[counts != 1] = -1
    return homes[1:]
