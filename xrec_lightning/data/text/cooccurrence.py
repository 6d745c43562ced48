"""Pairs of texts whose items were chosen close to each other, from the graph's training edges."""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.distinct import read_texts
from xrec_lightning.schema import GRAPH_FOLDER

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
    domain_ids: Ints
    """The domain of each text's items, 0 where they are of several, shape ``(T,)``."""
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

    @property
    def domain_pairs(self) -> Ints:
        """A number for the domains of both sides of each pair, shape ``(P,)``."""
        size = int(self.domain_ids.max(initial=0)) + 1
        return self.domain_ids[self.left] * size + self.domain_ids[self.right]


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
    texts = read_texts(prepared)
    edges = prepared.graph(EDGES)
    ends = [texts.row_of[edges[name].to_numpy()] for name in ("left_index", "right_index")]
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
    return TextPairs(texts.texts, texts.item_ids, texts.domain_ids, *columns)


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
