"""Targets: what is predicted from which part of the store, and in which slices."""

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.steps.splits import ORDER

_SHORT_BELOW, _LONG_FROM = 5, 20
_SECONDS_A_DAY = 86_400
_ROW = "_row"


def make_targets(
    events: pl.DataFrame, hidden: pl.DataFrame, split: str, train_counts: pl.DataFrame
) -> pl.DataFrame:
    """Return one row a target of ``split``, in flat order; for the test, hidden events follow.

    A target's history is ``[history_start, history_end)`` of the flat store, all strictly earlier;
    ``[history_end, seen_end)`` holds the store's events of its own time. Targets without history
    are left out.

    Args:
        events: Events of the store, in flat order, with index columns, `order` and `split`.
        hidden: Events of hidden items, with the same columns.
        split: `val` or `test`.
        train_counts: Training events by item_index.
    """
    targets = events.filter(pl.col(schema.SPLIT) == split)
    if split == schema.TEST:
        targets = pl.concat([targets, hidden])
    targets = _add_bounds(targets, events).filter(
        pl.col(schema.HISTORY_END) > pl.col(schema.HISTORY_START)
    )
    targets = _add_slices(targets, events, train_counts)
    targets = _add_extra_seen(targets.with_row_index(_ROW), hidden)
    return targets.select(
        schema.USER_INDEX,
        schema.ITEM_INDEX,
        schema.DOMAIN_INDEX,
        schema.TIMESTAMP,
        schema.HISTORY_START,
        schema.HISTORY_END,
        schema.SEEN_END,
        schema.EXTRA_SEEN,
        *(schema.slice_column(name) for name in schema.SLICES),
    )


def _add_bounds(targets: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    orders = np.unique(np.concatenate([events[ORDER].to_numpy(), targets[ORDER].to_numpy()]))
    flat_keys = _sort_keys(events, orders)  # ascending: this is the order of the store
    keys = _sort_keys(targets, orders)
    users = targets[schema.USER_INDEX].to_numpy()
    starts = np.searchsorted(events[schema.USER_INDEX].to_numpy(), users, side="left")
    return targets.with_columns(
        pl.Series(schema.HISTORY_START, starts, pl.Int64),
        pl.Series(schema.HISTORY_END, np.searchsorted(flat_keys, keys, side="left"), pl.Int64),
        pl.Series(schema.SEEN_END, np.searchsorted(flat_keys, keys, side="right"), pl.Int64),
    )


def _sort_keys(events: pl.DataFrame, orders: np.ndarray) -> np.ndarray:
    """Return one int64 an event that sorts by user, then by order."""
    users = events[schema.USER_INDEX].to_numpy().astype(np.int64)
    return users * len(orders) + np.searchsorted(orders, events[ORDER].to_numpy())


def _add_slices(
    targets: pl.DataFrame, events: pl.DataFrame, train_counts: pl.DataFrame
) -> pl.DataFrame:
    """Return the targets with one bool column a slice."""
    last_times = events[schema.TIMESTAMP].gather(targets[schema.HISTORY_END] - 1)
    targets = targets.join(
        train_counts, on=schema.ITEM_INDEX, how="left", maintain_order="left"
    ).with_columns(last_times.alias("_last"), _has_other_domain(targets, events).alias("_overlap"))
    count = pl.col(schema.TRAIN_COUNT).fill_null(0)
    bucket = schema.popularity_bucket(count)
    length = pl.col(schema.HISTORY_END) - pl.col(schema.HISTORY_START)
    masks = {
        schema.WARM: count > 0,
        **{name: bucket == index for index, name in enumerate(schema.BUCKETS)},
        "history_short": length < _SHORT_BELOW,
        "history_medium": length.is_between(_SHORT_BELOW, _LONG_FROM, closed="left"),
        "history_long": length >= _LONG_FROM,
        "overlap": pl.col("_overlap"),
        "single_domain": ~pl.col("_overlap"),
        "later_day": pl.col(schema.TIMESTAMP) // _SECONDS_A_DAY > pl.col("_last") // _SECONDS_A_DAY,
    }
    return targets.with_columns(
        mask.alias(schema.slice_column(name)) for name, mask in masks.items()
    )


def _has_other_domain(targets: pl.DataFrame, events: pl.DataFrame) -> pl.Series:
    """Return whether the history holds an event of another domain than the target's."""
    first = (
        events.with_row_index("_position")
        .group_by(schema.USER_INDEX, schema.DOMAIN_INDEX)
        .agg(pl.col("_position").first().cast(pl.Int64))
    )
    columns = (schema.USER_INDEX, schema.DOMAIN_INDEX, schema.HISTORY_END)
    with_other = (
        targets.select(*columns)
        .with_row_index(_ROW)
        .join(first, on=schema.USER_INDEX, suffix="_other")
        .filter(
            pl.col(schema.DOMAIN_INDEX) != pl.col(f"{schema.DOMAIN_INDEX}_other"),
            pl.col("_position") < pl.col(schema.HISTORY_END),
        )
    )
    mask = np.zeros(len(targets), dtype=bool)
    mask[with_other[_ROW].to_numpy()] = True
    return pl.Series(mask)


def _add_extra_seen(targets: pl.DataFrame, hidden: pl.DataFrame) -> pl.DataFrame:
    """Return the targets with the hidden items that their user took before, or at the same time."""
    seen = (
        targets.select(_ROW, schema.USER_INDEX, schema.ITEM_INDEX, ORDER)
        .join(
            hidden.select(schema.USER_INDEX, schema.ITEM_INDEX, ORDER),
            on=schema.USER_INDEX,
            suffix="_hidden",
        )
        .filter(
            pl.col(f"{ORDER}_hidden") <= pl.col(ORDER),
            pl.col(f"{schema.ITEM_INDEX}_hidden") != pl.col(schema.ITEM_INDEX),
        )
        .group_by(_ROW)
        .agg(pl.col(f"{schema.ITEM_INDEX}_hidden").unique().sort().alias(schema.EXTRA_SEEN))
    )
    nothing = pl.lit([], pl.List(pl.Int32))
    return targets.join(seen, on=_ROW, how="left", maintain_order="left").with_columns(
        pl.col(schema.EXTRA_SEEN).fill_null(nothing)
    )
