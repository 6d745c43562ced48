"""Steps between scored candidates and the lists that people see, as pure functions on frames.

A frame holds one row an item of a list: user_index and domain_index name the list, score orders it.
"""

from collections.abc import Callable, Sequence
from functools import reduce

import polars as pl

from xrec_lightning.callbacks.prediction_writer import RANK, SCORE
from xrec_lightning.schema import DOMAIN_INDEX, ITEM_INDEX, TEXT, USER_INDEX

Step = Callable[[pl.DataFrame], pl.DataFrame]

LIST_KEYS = (USER_INDEX, DOMAIN_INDEX)


def postprocess(items: pl.DataFrame, steps: Sequence[Step]) -> pl.DataFrame:
    """Apply ``steps`` from first to last."""
    return reduce(pl.DataFrame.pipe, steps, items)


def drop_seen(seen: pl.DataFrame) -> Step:
    """Return a step that drops what a user has seen.

    Args:
        seen: Pairs of user_index and item_index.
    """
    return lambda items: items.join(
        seen, on=[USER_INDEX, ITEM_INDEX], how="anti", maintain_order="left"
    )


def drop_duplicate_texts(items: pl.DataFrame) -> pl.DataFrame:
    """Keep the best of those items of a list that have the same text.

    The text begins with the title. Items without text are all kept: nothing says that they are the
    same.
    """
    best_first = items.sort(*LIST_KEYS, SCORE, descending=[False, False, True], maintain_order=True)
    has_text = pl.col(TEXT).is_not_null()
    return best_first.filter(~has_text | pl.struct(*LIST_KEYS, TEXT).is_first_distinct())


def take_top_k(top_k: int) -> Step:
    """Return a step that keeps the best ``top_k`` items of each list and ranks them from 1."""

    def take(items: pl.DataFrame) -> pl.DataFrame:
        order = [False, False, True]
        best_first = items.sort(*LIST_KEYS, SCORE, descending=order, maintain_order=True)
        ranks = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(LIST_KEYS)
        return best_first.with_columns(ranks.alias(RANK)).filter(pl.col(RANK) <= top_k)

    return take
