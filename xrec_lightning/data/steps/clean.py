"""How dropped interactions are told and parted from the others, and which users have too many."""

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.raw.readers import ROW, SOURCE, VALUE
from xrec_lightning.data.steps.runs import Bools, begins_run, find_runs

OUTSIDE_CORE = "user or item has too few training events"

REJECTED = (SOURCE, ROW, schema.REASON, schema.USER_INDEX, schema.ITEM_INDEX, VALUE)
"""Columns of rejected rows."""

_SECONDS_AN_HOUR = 3600


def flag_rows(interactions: pl.DataFrame, drops: dict[str, Bools]) -> pl.DataFrame:
    """Return the interactions with a `reason`, the first that applies, null where none does.

    Args:
        interactions: Interactions, N in number.
        drops: Which interactions each reason drops, shape ``(N,)``.
    """
    kind = pl.Enum(list(drops))
    reason = pl.lit(None, kind)
    for text, is_dropped in reversed(drops.items()):
        if is_dropped.any():
            reason = pl.when(pl.Series(is_dropped)).then(pl.lit(text, kind)).otherwise(reason)
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


def part(flagged: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows without a `reason`, less that column, and the others as rejected rows."""
    reasons, kept = flagged[schema.REASON], flagged.drop(schema.REASON)
    if reasons.null_count() == len(reasons):
        return kept, _as_rejected(flagged.clear())
    is_kept = reasons.is_null()
    return kept.filter(is_kept), _as_rejected(flagged.filter(~is_kept))


def _as_rejected(rows: pl.DataFrame) -> pl.DataFrame:
    if VALUE not in rows.columns:
        rows = rows.with_columns(pl.lit(None, pl.String).alias(VALUE))
    return rows.select(REJECTED).with_columns(pl.col(schema.REASON).cast(pl.String))
