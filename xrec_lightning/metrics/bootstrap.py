"""Paired bootstrap intervals of differences between two models."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_CELLS = 8_000_000
"""Weights held at once, which bounds the memory to some hundred megabytes."""


class Intervals(NamedTuple):
    """Means with their intervals, each of shape ``(S, M)``; NaN where a slice is empty."""

    means: NDArray[np.float64]
    lows: NDArray[np.float64]
    highs: NDArray[np.float64]


def paired_bootstrap(
    differences: NDArray[np.float64],
    mask: NDArray[np.bool_],
    cluster_ids: NDArray[np.int64] | None = None,
    *,
    num_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Intervals:
    """Return the percentile interval of the mean difference of each metric on each slice.

    Whole clusters are drawn with replacement, all rows of a cluster together, and a slice's mean
    is taken over those rows of the drawn clusters that are in it. All metrics and slices share the
    draws.

    Shapes: B rows, M metrics, S slices.

    Args:
        differences: Right model's value less left model's, shape ``(B, M)``.
        mask: Membership of each row in each slice, shape ``(B, S)``.
        cluster_ids: Cluster of each row, such as its user, shape ``(B,)``; None makes each row its
            own.
        num_resamples: Number of draws.
        confidence: Share of the draws inside the interval.
        seed: Seed of the draws.

    Returns:
        Means and interval ends, shape ``(S, M)``.

    Raises:
        ValueError: If there is no row.
    """
    if not len(differences):
        raise ValueError("nothing to compare: there is no row")
    rows = np.arange(len(differences)) if cluster_ids is None else cluster_ids
    _, clusters = np.unique(rows, return_inverse=True)
    sums, counts = _cluster_sums(differences, mask, clusters)
    num_clusters, num_slices, num_metrics = sums.shape
    columns = np.concatenate([sums.reshape(num_clusters, -1), counts], axis=1)
    drawn = _resampled_sums(columns, num_resamples, np.random.default_rng(seed))
    drawn_sums, drawn_counts = np.split(drawn, [num_slices * num_metrics], axis=1)
    drawn_sums = drawn_sums.reshape(num_resamples, num_slices, num_metrics)
    tail = (1 - confidence) / 2
    means = np.full((num_slices, num_metrics), np.nan)
    lows, highs = means.copy(), means.copy()
    for index in np.flatnonzero(counts.sum(axis=0)):
        is_drawn = drawn_counts[:, index] > 0
        draws = drawn_sums[is_drawn, index] / drawn_counts[is_drawn, index, None]  # (R, M)
        means[index] = sums[:, index].sum(axis=0) / counts[:, index].sum()
        lows[index], highs[index] = np.quantile(draws, [tail, 1 - tail], axis=0)
    return Intervals(means, lows, highs)


def _cluster_sums(
    differences: NDArray[np.float64], mask: NDArray[np.bool_], clusters: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sums by cluster, slice and metric, ``(C, S, M)``, and numbers of rows, ``(C, S)``."""
    num_clusters = int(clusters.max()) + 1
    sums = np.zeros((num_clusters, mask.shape[1], differences.shape[1]))
    counts = np.zeros((num_clusters, mask.shape[1]))
    for index in range(mask.shape[1]):
        member = mask[:, index]
        np.add.at(sums[:, index], clusters[member], differences[member])
        np.add.at(counts[:, index], clusters[member], 1)
    return sums, counts


def _resampled_sums(
    columns: NDArray[np.float64], num_resamples: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return column sums over clusters drawn with replacement, one row a draw."""
    num_clusters = len(columns)
    block_size = max(1, MAX_CELLS // num_clusters)
    blocks = []
    for start in range(0, num_resamples, block_size):
        size = min(block_size, num_resamples - start)
        picks = generator.integers(num_clusters, size=(size, num_clusters))
        picks += num_clusters * np.arange(size)[:, None]
        weights = np.bincount(picks.ravel(), minlength=size * num_clusters)
        blocks.append(weights.reshape(size, num_clusters).astype(np.float64) @ columns)
    return np.concatenate(blocks)
