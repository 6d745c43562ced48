"""Training events, validation and test: the role of each event, and which are targets."""

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.steps import SplitConfig
from xrec_lightning.data.steps.cold import Cold
from xrec_lightning.data.steps.cuts import Cuts
from xrec_lightning.data.steps.order import ORDER
from xrec_lightning.data.steps.runs import Ints, begins_run, find_runs

ROLE = "role"
"""Window of an event: train, val, test; `hidden` for what a cold protocol hides; `history` for
events of cold users before the test."""


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
