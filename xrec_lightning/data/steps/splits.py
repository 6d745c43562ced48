"""Training events, validation and test: the role of each event, and the flat order of the store.

Events of one user with equal time have no order. `ORDER` is what counts as time in every
comparison: the timestamp, or, for protocols that believe the file, the position in it.
"""

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.steps import SplitConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.readers import ROW, SOURCE
from xrec_lightning.data.raw.times import parse_time

ORDER = "order"
"""Int64; what is strictly earlier has a smaller value."""
ROLE = "role"
"""Window of an event: train, val, test; `hidden` for events of hidden items."""

_BACK = "_back"
_TIMES = "_times"


def add_order(interactions: pl.DataFrame, ties: str) -> pl.DataFrame:
    """Return the interactions with `ORDER`: their timestamp, or with ``ties="file"`` their rank."""
    if ties == "shuffle":
        return interactions.with_columns(pl.col(schema.TIMESTAMP).alias(ORDER))
    ranked = interactions.sort(schema.TIMESTAMP, SOURCE, ROW).with_row_index(ORDER)
    return ranked.with_columns(pl.col(ORDER).cast(pl.Int64))


def assign_roles(interactions: pl.DataFrame, config: SplitConfig) -> pl.DataFrame:
    """Return the interactions with their `ROLE`, by their distinct times or by cuts for all users.

    Users with two distinct times have no validation, those with one train only: the earliest time
    of a user always trains, and test comes before validation.

    Args:
        interactions: Interactions with their `ORDER`, without those of hidden items.
        config: Method of the split and its settings.
    """
    if config.method == "global_time":
        return interactions.with_columns(_global_role(*_cuts(interactions, config)).alias(ROLE))
    # Distinct times of a user, counted from the last: 0, 1, 2 …
    back = pl.col(ORDER).rank("dense", descending=True).over(schema.USER_ID).cast(pl.Int64) - 1
    ranked = interactions.with_columns(back.alias(_BACK)).with_columns(
        pl.col(_BACK).max().over(schema.USER_ID).alias(_TIMES) + 1
    )
    test, val = _window_lengths(config)
    test = pl.min_horizontal(test, pl.col(_TIMES) - 1)
    val = pl.min_horizontal(val, pl.col(_TIMES) - 1 - test)
    role = (
        pl.when(pl.col(_BACK) < test)
        .then(pl.lit(schema.TEST))
        .when(pl.col(_BACK) < test + val)
        .then(pl.lit(schema.VAL))
        .otherwise(pl.lit(schema.TRAIN))
    )
    return ranked.with_columns(role.alias(ROLE)).drop(_BACK, _TIMES)


def sort_flat(events: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return the events in the order of the store: users, then times, ties shuffled by ``seed``.

    Events of hidden items come last. The order does not depend on that of the rows given.
    """
    is_hidden = pl.col(ROLE) == schema.HIDDEN
    rows = events.sort(schema.USER_INDEX, ORDER, schema.ITEM_INDEX, SOURCE, ROW)
    keys = np.random.default_rng(seed).permutation(len(rows))
    return (
        rows.with_columns(pl.Series("_key", keys))
        .sort(is_hidden, schema.USER_INDEX, ORDER, "_key")
        .drop("_key")
    )


def mark_targets(events: pl.DataFrame, config: SplitConfig) -> pl.DataFrame:
    """Return the events, in flat order, with their `split`.

    `train`, `val` and `test` are what the role says, except that of a basket of `leave_one_out`
    one event is the target (the last in the shuffled order) and the others are `unused`, as are
    those that no event of their user precedes.
    """
    first = pl.col(ORDER).min().over(schema.USER_INDEX, pl.col(ROLE) == schema.HIDDEN)
    is_target = pl.col(ORDER) > first
    if config.method == "leave_one_out":
        is_target &= pl.struct(schema.USER_INDEX, ROLE).is_last_distinct()
    keeps_role = is_target | pl.col(ROLE).is_in([schema.TRAIN, schema.HIDDEN])
    split = pl.when(keeps_role).then(pl.col(ROLE)).otherwise(pl.lit(schema.UNUSED))
    return events.with_columns(split.alias(schema.SPLIT))


def _window_lengths(config: SplitConfig) -> tuple[pl.Expr, pl.Expr]:
    """Return how many of a user's times test and validate."""
    if config.method == "leave_one_out":
        return pl.lit(1), pl.lit(1)
    if config.method == "last_n":
        return pl.lit(config.n), pl.lit(config.n)
    return _share_of_times(config.test_share), _share_of_times(config.val_share)


def _share_of_times(share: float) -> pl.Expr:
    """Return a share of a user's times as a whole number, at least 1 unless the share is 0."""
    return (pl.col(_TIMES) * share).round().cast(pl.Int64).clip(lower_bound=int(share > 0))


def _cuts(interactions: pl.DataFrame, config: SplitConfig) -> tuple[int, int]:
    """Return the first validation and the first test time."""
    if config.val_from is not None and config.test_from is not None:
        val, test = parse_time(config.val_from), parse_time(config.test_from)
        if val is None or test is None or val >= test:
            raise InputError(
                f"split.val_from: {config.val_from} and split.test_from: {config.test_from} are no "
                "times in this order; give seconds since 1970 or ISO dates"
            )
        return val, test
    shares = (config.test_share + config.val_share, config.test_share)
    times = interactions[schema.TIMESTAMP].sort()
    # The time of the first event of each share; min keeps a share of 0 inside the log.
    val, test = (times[min(len(times) - 1, round((1 - share) * len(times)))] for share in shares)
    return val, test


def _global_role(val_from: int, test_from: int) -> pl.Expr:
    time = pl.col(schema.TIMESTAMP)
    return (
        pl.when(time >= test_from)
        .then(pl.lit(schema.TEST))
        .when(time >= val_from)
        .then(pl.lit(schema.VAL))
        .otherwise(pl.lit(schema.TRAIN))
    )
