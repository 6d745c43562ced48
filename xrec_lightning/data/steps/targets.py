"""Targets: what is predicted from which part of the store, and in which slices."""

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.buckets import BUCKET_STARTS
from xrec_lightning.data.steps.order import ORDER, flat_keys
from xrec_lightning.data.steps.runs import Bools, Ints, begins_run, find_runs

_SHORT_BELOW, _LONG_FROM = 5, 20
_SECONDS_A_DAY = 86_400
_COLUMNS = (
    schema.USER_INDEX,
    schema.ITEM_INDEX,
    schema.DOMAIN_INDEX,
    schema.TIMESTAMP,
)
_ROW = "_row"


def make_targets(
    events: pl.DataFrame,
    hidden: pl.DataFrame,
    split: str,
    train_counts: Ints,
    base: int = 0,
) -> pl.DataFrame:
    """Return one row a target of ``split``, by user; for the test, a user's hidden events follow.

    A target's history is ``[history_start, history_end)`` of the flat store, all strictly earlier;
    ``[history_end, seen_end)`` holds the store's events of its own time. Targets without history
    are left out. Column `is_hidden` tells the hidden events.

    Args:
        events: Events of the store of one shard, in flat order, with index columns, `order` and
            `split`.
        hidden: Hidden events of the same users, in flat order, with the same columns.
        split: `val` or `test`.
        train_counts: Training events in the whole log by item_index.
        base: Flat position of the first event of the shard.
    """
    shown = np.flatnonzero(events[schema.SPLIT] == split)
    tested = hidden if split == schema.TEST else hidden.clear()
    columns = [*_COLUMNS, ORDER]
    targets = pl.concat([events[shown].select(columns), tested.select(columns)])
    bounds = np.concatenate([_bounds_of_shown(events, shown), _bounds_of_hidden(events, tested)])
    users = targets[schema.USER_INDEX].to_numpy()
    with_history = np.flatnonzero(bounds[:, 1] > bounds[:, 0])
    rows = with_history[np.argsort(users[with_history], kind="stable")]
    targets, bounds = targets[rows], bounds[rows]
    names = (schema.HISTORY_START, schema.HISTORY_END, schema.SEEN_END)
    return targets.select(
        *_COLUMNS,
        *(pl.Series(name, bounds[:, place] + base) for place, name in enumerate(names)),
        _list_extra_seen(targets, hidden),
        pl.Series(schema.IS_HIDDEN, rows >= len(shown)),
        *(
            pl.Series(schema.slice_column(name), mask)
            for name, mask in _find_slices(targets, bounds, events, train_counts).items()
        ),
    )


def count_training(events: pl.DataFrame, num_items: int) -> Ints:
    """Return the training events of one shard by item_index; those of the log are the sum.

    Args:
        events: Events with their `split`.
        num_items: More than the largest index.
    """
    items = events[schema.ITEM_INDEX].filter(events[schema.SPLIT] == schema.TRAIN)
    return np.bincount(items.to_numpy(), minlength=num_items)


def _bounds_of_shown(events: pl.DataFrame, shown: Ints) -> Ints:
    """Return start, end and seen end of the history of events of the store, shape ``(T, 3)``."""
    users = events[schema.USER_INDEX].to_numpy()
    by_user = find_runs(begins_run(users))
    by_moment = find_runs(begins_run(users, events[ORDER].to_numpy()))
    user = np.searchsorted(by_user.starts, shown, side="right") - 1
    moment = np.searchsorted(by_moment.starts, shown, side="right") - 1
    columns = (by_user.starts[user], by_moment.starts[moment], by_moment.ends[moment])
    return np.stack(columns, axis=1)


def _bounds_of_hidden(events: pl.DataFrame, hidden: pl.DataFrame) -> Ints:
    """Return the same of events that are not in the store."""
    if hidden.is_empty():
        return np.zeros((0, 3), dtype=np.int64)
    keys, hidden_keys = _common_keys(events, hidden)
    users = hidden[schema.USER_INDEX].to_numpy()
    columns = (
        np.searchsorted(events[schema.USER_INDEX].to_numpy(), users, side="left"),
        np.searchsorted(keys, hidden_keys, side="left"),
        np.searchsorted(keys, hidden_keys, side="right"),
    )
    return np.stack(columns, axis=1)


def _common_keys(left: pl.DataFrame, right: pl.DataFrame) -> tuple[Ints, Ints]:
    """Return one int64 an event of both frames that sorts by user, then by order."""
    users, orders = (
        np.concatenate([left[name].to_numpy(), right[name].to_numpy()])
        for name in (schema.USER_INDEX, ORDER)
    )
    keys = flat_keys(users, orders)
    return keys[: len(left)], keys[len(left) :]


def _find_slices(
    targets: pl.DataFrame, bounds: Ints, events: pl.DataFrame, train_counts: Ints
) -> dict[str, Bools]:
    """Return which targets are in each slice, in the order of `schema.SLICES`."""
    starts, ends = bounds[:, 0], bounds[:, 1]
    counts = train_counts[targets[schema.ITEM_INDEX].to_numpy()]
    buckets = np.searchsorted(BUCKET_STARTS, counts, side="right") - 1
    lengths = ends - starts
    times, splits = events[schema.TIMESTAMP].to_numpy(), events[schema.SPLIT]
    days = targets[schema.TIMESTAMP].to_numpy() // _SECONDS_A_DAY
    has_other = _has_other_domain(targets, bounds, events)
    return {
        schema.WARM: counts > 0,
        **{name: buckets == index for index, name in enumerate(schema.BUCKETS)},
        "history_short": lengths < _SHORT_BELOW,
        "history_medium": (lengths >= _SHORT_BELOW) & (lengths < _LONG_FROM),
        "history_long": lengths >= _LONG_FROM,
        "overlap": has_other,
        "single_domain": ~has_other,
        "later_day": days > times[ends - 1] // _SECONDS_A_DAY,
        # Training events come first in the store.
        "cold_user": (splits.gather(starts) != schema.TRAIN).to_numpy(),
        "cold_domain": ~_has_own_domain(targets, bounds, events),
    }


def _has_other_domain(targets: pl.DataFrame, bounds: Ints, events: pl.DataFrame) -> Bools:
    """Return whether the history holds an event of another domain than the target's."""
    domains = events[schema.DOMAIN_INDEX].to_numpy()
    by_user = find_runs(begins_run(events[schema.USER_INDEX].to_numpy()))
    changed = np.flatnonzero(domains != by_user.spread(domains[by_user.starts]))
    # Either the first event of the history is of another domain, or a later one differs from it.
    later = np.append(changed, len(events))[np.searchsorted(changed, bounds[:, 0])]
    own = targets[schema.DOMAIN_INDEX].to_numpy()
    return (domains[bounds[:, 0]] != own) | (later < bounds[:, 1])


def _has_own_domain(targets: pl.DataFrame, bounds: Ints, events: pl.DataFrame) -> Bools:
    """Return whether the history holds an event of the target's domain."""
    domains = events[schema.DOMAIN_INDEX].to_numpy().astype(np.int64)
    keys = np.sort(domains * len(events) + np.arange(len(events)))
    own = targets[schema.DOMAIN_INDEX].to_numpy().astype(np.int64) * len(events)
    first, end = (np.searchsorted(keys, own + bounds[:, place]) for place in (0, 1))
    return end > first


def _list_extra_seen(targets: pl.DataFrame, hidden: pl.DataFrame) -> pl.Series:
    """Return the items of hidden events of each target's user before it, or at the same time."""
    name = schema.EXTRA_SEEN
    empty = pl.Series(name, [[]], pl.List(pl.Int32))
    if hidden.is_empty() or targets.is_empty():
        return empty.new_from_index(0, len(targets))
    hidden_keys, keys = _common_keys(hidden, targets)
    users = targets[schema.USER_INDEX].to_numpy()
    firsts = np.searchsorted(hidden[schema.USER_INDEX].to_numpy(), users, side="left")
    lengths = np.searchsorted(hidden_keys, keys, side="right") - firsts
    rows = np.repeat(np.arange(len(targets)), lengths)
    places = np.arange(len(rows)) + np.repeat(firsts - (np.cumsum(lengths) - lengths), lengths)
    items = hidden[schema.ITEM_INDEX].to_numpy()[places]
    own = targets[schema.ITEM_INDEX].to_numpy()[rows]
    pairs = np.unique((rows << 32 | items)[items != own])
    lists = (
        pl.DataFrame({_ROW: pairs >> 32, name: (pairs & 0xFFFFFFFF).astype(np.int32)})
        .group_by(_ROW)
        .agg(name)
    )
    all_rows = pl.DataFrame({_ROW: np.arange(len(targets))})
    joined = all_rows.join(lists, on=_ROW, how="left", maintain_order="left")
    return joined[name].fill_null([])
