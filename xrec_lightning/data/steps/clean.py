"""How dropped interactions are told and parted from the others, and which users have too many."""

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.raw.readers import ROW, SOURCE, VALUE
from xrec_lightning.data.steps.order import ORDER
from xrec_lightning.data.steps.runs import Bools, begins_run, find_runs

DUPLICATE = "exact duplicate of another row"
REPEAT = "the user has an earlier event with this item"
OUTSIDE_CORE = "user or item has too few training events"

_REJECTED = (SOURCE, ROW, schema.REASON, schema.USER_ID, schema.ITEM_ID, VALUE)
REJECTED = (SOURCE, ROW, schema.REASON, schema.USER_INDEX, schema.ITEM_INDEX, VALUE)
"""Columns of rejected rows."""

_ROLE = "role"
_SECONDS_AN_HOUR = 3600


def flag_rows(interactions: pl.DataFrame, drops: dict[str, Bools]) -> pl.DataFrame:
    """Return the interactions with a `reason`, the first that applies, null where none does.

    Args:
        interactions: Interactions, N in number.
        drops: Which interactions each reason drops, shape ``(N,)``.
    """
    reason = pl.lit(None, pl.String)
    for text, is_dropped in reversed(drops.items()):
        if is_dropped.any():
            reason = pl.when(pl.Series(is_dropped)).then(pl.lit(text)).otherwise(reason)
    return interactions.with_columns(reason.alias(schema.REASON))


def flag_busy(interactions: pl.DataFrame, max_per_hour: int) -> pl.DataFrame:
    """Return the interactions with a `reason` on all of users who are too busy to be people.

    Args:
        interactions: Interactions in flat order.
        max_per_hour: Most events of a user in one hour of the clock.
    """
    users = interactions[schema.USER_INDEX].to_numpy()
    hours = interactions[schema.TIMESTAMP].to_numpy() // _SECONDS_AN_HOUR
    by_hour = find_runs(begins_run(users, hours))
    by_user = find_runs(begins_run(users))
    most = np.maximum.reduceat(by_hour.spread(by_hour.lengths), by_user.starts)
    reason = f"the user has more than {max_per_hour} events in one hour"
    return flag_rows(interactions, {reason: by_user.spread(most > max_per_hour)})


def flag_old(interactions: pl.DataFrame, max_history: int) -> pl.DataFrame:
    """Return the interactions with a `reason` on all but each user's newest.

    Args:
        interactions: Interactions in flat order, which decides between equal times.
        max_history: How many of each user are kept.
    """
    runs = find_runs(begins_run(interactions[schema.USER_INDEX].to_numpy()))
    kept_from = runs.spread(runs.ends - max_history)
    reason = f"older than the newest {max_history} events of the user"
    return flag_rows(interactions, {reason: np.arange(len(interactions)) < kept_from})


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
    train = events.filter(pl.col(_ROLE) == schema.TRAIN).select(schema.USER_ID, schema.ITEM_ID)
    size = -1
    while size != len(train):
        size = len(train)
        for column in (schema.USER_ID, schema.ITEM_ID):
            train = train.filter(pl.len().over(column) >= k_core)
    is_inside = pl.col(schema.USER_ID).is_in(train[schema.USER_ID].unique().implode()) & (
        pl.col(schema.ITEM_ID).is_in(train[schema.ITEM_ID].unique().implode())
        | (pl.col(_ROLE) == schema.HIDDEN)
    )
    return _flag(events, ~is_inside, OUTSIDE_CORE)


def part(flagged: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows without a `reason`, less that column, and the others as rejected rows."""
    columns = REJECTED if schema.USER_INDEX in flagged.columns else _REJECTED
    is_kept = flagged[schema.REASON].is_null()
    rejected = flagged.filter(~is_kept).select(columns)
    kept = flagged.drop(schema.REASON)
    return kept.filter(is_kept) if len(rejected) else kept, rejected


def _flag(interactions: pl.DataFrame, condition: pl.Expr, reason: str) -> pl.DataFrame:
    return interactions.with_columns(pl.when(condition).then(pl.lit(reason)).alias(schema.REASON))
