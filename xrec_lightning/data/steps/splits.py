"""Training events, validation and test: the role of each event, and which are targets."""

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.steps import SplitConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.readers import ROW, SOURCE
from xrec_lightning.data.raw.times import parse_time
from xrec_lightning.data.steps.cold import Cold
from xrec_lightning.data.steps.cuts import Cuts
from xrec_lightning.data.steps.order import ORDER as ORDER  # the old steps import it from here
from xrec_lightning.data.steps.runs import Ints, begins_run, find_runs

ROLE = "role"
"""Window of an event: train, val, test; `hidden` for what a cold protocol hides; `history` for
events of cold users before the test."""

_BACK = "_back"
_TIMES = "_times"


def mark_roles(
    events: pl.DataFrame, config: SplitConfig, cuts: Cuts | None = None, cold: Cold | None = None
) -> pl.DataFrame:
    """Return the events with their `ROLE`, by their user's distinct times or by ``cuts`` for all.

    Users with two distinct times have no validation, those with one train only: the earliest time
    of a user always trains, and test comes before validation.

    Args:
        events: Events in flat order.
        config: Method of the split and its settings.
        cuts: Of methods that cut all users at once.
        cold: What is hidden and which users are cold; hidden events have no part in the others'
            times.
    """
    users = events[schema.USER_INDEX].to_numpy()
    codes = np.full(len(events), _code(schema.HIDDEN))
    is_hidden = np.zeros(1, dtype=bool) if cold is None else cold.hides(events)
    # A slice takes no copy.
    shown = np.flatnonzero(~is_hidden) if is_hidden.any() else slice(None)
    if cuts is None:
        codes[shown] = _codes_by_user(users[shown], events[ORDER].to_numpy()[shown], config)
    else:
        times = events[schema.TIMESTAMP].to_numpy()[shown]
        codes[shown] = (times >= cuts.val_from).astype(np.uint8) + (times >= cuts.test_from)
    if cold is not None:
        is_earlier = cold.users[users] & (codes < _code(schema.TEST))
        codes[is_earlier] = _code(schema.HISTORY)
    return events.with_columns(_to_splits(codes).alias(ROLE))


def part_hidden(events: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the events of the store, and the hidden ones, each in the order given."""
    is_hidden = events[ROLE] == schema.HIDDEN
    if not is_hidden.any():
        return events, events.clear()
    return events.filter(~is_hidden), events.filter(is_hidden)


def mark_targets(events: pl.DataFrame, config: SplitConfig) -> pl.DataFrame:
    """Return the events with their `split`.

    `train`, `val` and `test` are what the role says, except that of a basket of `leave_one_out`
    one event is the target (the last in the shuffled order) and the others are `unused`, as are
    those that no event of their user precedes.

    Args:
        events: Events of the store in flat order, with their `ROLE`; hidden ones may follow.
        config: Method of the split.
    """
    codes = _to_codes(events[ROLE])
    is_hidden = codes == _code(schema.HIDDEN)
    users = events[schema.USER_INDEX].to_numpy()
    orders = events[ORDER].to_numpy()
    runs = find_runs(begins_run(users, is_hidden))
    is_target = orders > runs.spread(orders[runs.starts])
    if config.method == "leave_one_out":
        is_target[:-1] &= begins_run(users, codes)[1:]
    is_window = (codes == _code(schema.VAL)) | (codes == _code(schema.TEST))
    codes = np.where(is_window & ~is_target, _code(schema.UNUSED), codes)
    return events.with_columns(_to_splits(codes).alias(schema.SPLIT))


def _codes_by_user(users: Ints, orders: Ints, config: SplitConfig) -> Ints:
    """Return the codes of train, val and test by the distinct times of each user."""
    by_user = find_runs(begins_run(users))
    numbers = np.cumsum(begins_run(users, orders))
    last = numbers[by_user.ends - 1]
    counts = np.diff(last, prepend=0)
    test, val = _window_lengths(counts, config)
    test = np.minimum(test, counts - 1)
    val = np.minimum(val, counts - 1 - test)
    is_late = numbers > by_user.spread(last - test - val)
    return is_late.astype(np.uint8) + (numbers > by_user.spread(last - test))


def _window_lengths(counts: Ints, config: SplitConfig) -> tuple[Ints, Ints]:
    """Return how many of a user's ``counts`` times test and validate."""
    if config.method == "ratio":
        return _share_of(counts, config.test_share), _share_of(counts, config.val_share)
    length = np.full_like(counts, config.n if config.method == "last_n" else 1)
    return length, length


def _share_of(counts: Ints, share: float) -> Ints:
    """Return a share of the counts as whole numbers, at least 1 unless the share is 0."""
    return np.maximum(np.rint(counts * share).astype(np.int64), int(share > 0))


def _code(split: str) -> np.uint8:
    return np.uint8(schema.SPLITS.index(split))


def _to_codes(splits: pl.Series) -> Ints:
    return splits.cast(schema.SPLIT_DTYPE).to_physical().to_numpy().astype(np.uint8)


def _to_splits(codes: Ints) -> pl.Series:
    return pl.Series(schema.SPLITS, dtype=schema.SPLIT_DTYPE).gather(codes)


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
    test, val = _old_lengths(config)
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


def _old_lengths(config: SplitConfig) -> tuple[pl.Expr, pl.Expr]:
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
