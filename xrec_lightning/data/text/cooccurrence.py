"""Pairs of texts whose items were chosen close to each other, from the graph's training edges."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch.utils.data import Sampler
from typing_extensions import override

from xrec_lightning.data.prepared import Prepared
from xrec_lightning.schema import GRAPH_FOLDER, ITEM_INDEX, TEXT

EDGES = "item_item"
Ints = NDArray[np.integer]


class TextPairs(NamedTuple):
    """Texts and the pairs of them that co-occur.

    Shapes: T distinct texts, P pairs; ``left`` and ``right`` are rows of ``texts``.
    """

    texts: list[str]
    """Distinct item texts."""
    item_ids: Ints
    """The first item of each text, shape ``(T,)``."""
    left: Ints
    """Shape ``(P,)``."""
    right: Ints
    """Shape ``(P,)``, above ``left``."""
    strengths: NDArray[np.floating]
    """How much more often each pair occurs than by chance, shape ``(P,)``; see `read_pairs`."""

    def select(self, mask: NDArray[np.bool_]) -> "TextPairs":
        """Return the pairs marked by ``mask``, shape ``(P,)``, over the same texts."""
        return self._replace(
            left=self.left[mask], right=self.right[mask], strengths=self.strengths[mask]
        )


def read_pairs(prepared: Prepared, min_count: int = 2, min_lift: float = 3.0) -> TextPairs:
    """Return the co-occurring pairs of distinct texts.

    Items of equal text count as one: a pair of them would teach nothing. Most pairs of a busy log
    are chance; the strength of a pair is its count times log(1 + lift).

    Args:
        prepared: A prepared data set.
        min_count: Rarer pairs are left out.
        min_lift: So are pairs that occur less than this many times as often as by chance, if
            items met in proportion to their edges.

    Raises:
        FileNotFoundError: If the graph has no training co-occurrence edges.
        ValueError: If no pair is left.
    """
    path = prepared.folder / GRAPH_FOLDER / f"{EDGES}.parquet"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: the training co-occurrence edges are missing and nothing may replace them; "
            "delete the prepared folder and run `xrec prepare` again"
        )
    texts, row_of = _distinct_texts(prepared.items())
    edges = prepared.graph(EDGES)
    ends = [row_of[edges[name].to_numpy()] for name in ("left_index", "right_index")]
    pairs = (
        pl.DataFrame(
            {"left": np.minimum(*ends), "right": np.maximum(*ends), "count": edges["count"]}
        )
        .filter((pl.col("left") >= 0) & (pl.col("left") != pl.col("right")))
        .group_by("left", "right")
        .agg(pl.col("count").sum())
        .sort("left", "right")
    )
    pairs = _strong(pairs, min_count, min_lift)
    if pairs.is_empty():
        raise ValueError(
            f"{path}: no two items with text co-occur {min_count} times or more and {min_lift} "
            "times as often as by chance; lower min_count or min_lift"
        )
    columns = [pairs[name].to_numpy() for name in ("left", "right", "strength")]
    return TextPairs(texts[TEXT].to_list(), texts[ITEM_INDEX].to_numpy(), *columns)


def _distinct_texts(items: pl.DataFrame) -> tuple[pl.DataFrame, Ints]:
    """Return the distinct texts with their first item, and the row of each item's text or -1."""
    named = items.filter(pl.col(TEXT).is_not_null())
    texts = named.group_by(TEXT).agg(pl.col(ITEM_INDEX).min()).sort(ITEM_INDEX)
    rows = named.select(ITEM_INDEX, TEXT).join(texts.select(TEXT).with_row_index("row"), on=TEXT)
    row_of = np.full(len(items) + 1, -1, dtype=np.int64)
    row_of[rows[ITEM_INDEX].to_numpy()] = rows["row"].to_numpy()
    return texts, row_of


def _strong(pairs: pl.DataFrame, min_count: int, min_lift: float) -> pl.DataFrame:
    """Return the pairs that are no chance, with their strength."""
    left, right, count = (pairs[name].to_numpy() for name in ("left", "right", "count"))
    size = int(right.max(initial=0)) + 1
    edges = np.bincount(left, count, size) + np.bincount(right, count, size)
    expected = edges[left] * edges[right] / max(1.0, edges.sum())
    lift = count / np.maximum(expected, 1e-12)
    strength = pl.Series("strength", count * np.log1p(lift))
    return pairs.with_columns(strength).filter((count >= min_count) & (lift >= min_lift))


def is_held_out(pairs: TextPairs, share: float, seed: int) -> NDArray[np.bool_]:
    """Return whether each pair belongs to the held-out ``share``, shape ``(P,)``."""
    return np.random.default_rng(seed).random(len(pairs.left)) < share


class WeightedSampler(Sampler[int]):
    """Draw rows with replacement in proportion to their weights, other ones each epoch.

    Args:
        weights: Positive, shape ``(rows,)``.
        num_samples: Draws of an epoch.
        seed: Seed of all draws.
    """

    def __init__(self, weights: NDArray[np.floating], num_samples: int, seed: int) -> None:
        self.cumulative = np.cumsum(weights, dtype=np.float64)
        self.num_samples = num_samples
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the draws; the trainer calls it before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_samples

    @override
    def __iter__(self) -> Iterator[int]:
        generator = np.random.default_rng((self.seed, self.epoch))
        draws = generator.random(self.num_samples) * self.cumulative[-1]
        yield from np.searchsorted(self.cumulative, draws, side="right").tolist()
