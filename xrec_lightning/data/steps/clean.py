"""Which interactions are dropped before the split, and the core after it."""

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.raw.readers import ROW, SOURCE, VALUE
from xrec_lightning.data.steps.splits import ORDER, ROLE

DUPLICATE = "exact duplicate of another row"
REPEAT = "the user has an earlier event with this item"
OUTSIDE_CORE = "user or item has too few training events"

_REJECTED = (SOURCE, ROW, schema.REASON, schema.USER_ID, schema.ITEM_ID, VALUE)


def flag_duplicates(interactions: pl.DataFrame) -> pl.DataFrame:
    """Return the interactions with a `reason` on all but the first of equal rows."""
    columns = [name for name in schema.INTERACTION_DTYPES if name in interactions.columns]
    return _flag(interactions, ~pl.struct(columns).is_first_distinct(), DUPLICATE)


def flag_repeats(interactions: pl.DataFrame) -> pl.DataFrame:
    """Return the interactions, by order, with a `reason` on all but a user's first of an item."""
    is_first = pl.struct(schema.USER_ID, schema.ITEM_ID).is_first_distinct()
    return _flag(interactions.sort(ORDER, SOURCE, ROW), ~is_first, REPEAT)


def flag_outside_core(events: pl.DataFrame, k_core: int) -> pl.DataFrame:
    """Return the events with a `reason` on those of users and items with too few training events.

    Counts come from training events only, and are repeated until nothing changes. Hidden items
    have no training events and are kept.

    Args:
        events: Events with their `role`.
        k_core: Least number of training events of a user, and of an item.
    """
    train = events.filter(pl.col(ROLE) == schema.TRAIN).select(schema.USER_ID, schema.ITEM_ID)
    size = -1
    while size != len(train):
        size = len(train)
        for column in (schema.USER_ID, schema.ITEM_ID):
            train = train.filter(pl.len().over(column) >= k_core)
    is_inside = pl.col(schema.USER_ID).is_in(train[schema.USER_ID].unique().implode()) & (
        pl.col(schema.ITEM_ID).is_in(train[schema.ITEM_ID].unique().implode())
        | (pl.col(ROLE) == schema.HIDDEN)
    )
    return _flag(events, ~is_inside, OUTSIDE_CORE)


def part(flagged: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows without a `reason`, less that column, and the others as rejected rows."""
    kept = flagged.filter(pl.col(schema.REASON).is_null()).drop(schema.REASON)
    return kept, flagged.filter(pl.col(schema.REASON).is_not_null()).select(_REJECTED)


def _flag(interactions: pl.DataFrame, condition: pl.Expr, reason: str) -> pl.DataFrame:
    return interactions.with_columns(pl.when(condition).then(pl.lit(reason)).alias(schema.REASON))
