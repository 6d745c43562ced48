"""The fusion graph: edges of users, items and what is known about them, of training events only.

All edges of one user come from one shard. Only those between items are found in several shards:
`merge_edges` sums them, one range of left items at a time.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from xrec_lightning import schema
from xrec_lightning.data.steps.runs import begins_run, find_runs
from xrec_lightning.data.text.verbalize import split_tags

LEFT_INDEX = "left_index"
RIGHT_INDEX = "right_index"
COUNT = "count"
TAG = "tag"
BRAND = "brand"
FIELD = "field"
VALUE = "value"

_CHUNK = 1 << 17
"""Events whose pairs are made at a time: their arrays stay in the cache."""

Ints = NDArray[np.integer]


def user_item_edges(
    train: pl.DataFrame, event_weights: Mapping[str, float] | None = None
) -> pl.DataFrame:
    """Return how often each user had each kind of event with each item, and its summed weight.

    Args:
        train: Training events; `event` and `weight` are optional, no weight counts as 1.
        event_weights: Weight of an event type, times the row's own; 1 for those not named.
    """
    events = train[schema.EVENT] if schema.EVENT in train.columns else pl.Series([None])
    names = events.cast(pl.String).unique().sort()
    keys, strides = _event_keys(train, names)
    order = np.argsort(keys, kind="stable")
    keys, starts = _distinct(keys[order])
    weights = _event_weights(train, event_weights or {})[order]
    sums = np.add.reduceat(weights, starts) if len(starts) else weights
    users, rest = np.divmod(keys, strides[0])
    items, codes = np.divmod(rest, strides[1])
    return pl.DataFrame(
        {
            schema.USER_INDEX: users.astype(np.int32),
            schema.ITEM_INDEX: items.astype(np.int32),
            schema.EVENT: names.gather(codes),
            COUNT: np.diff(starts, append=len(order)).astype(np.int32),
            schema.WEIGHT: sums.astype(np.float32),
        }
    )


def item_item_edges(train: pl.DataFrame, window: int) -> pl.DataFrame:
    """Return how often two items are at most ``window`` training events of one user apart.

    Args:
        train: Training events in flat order; all of a user, of any number of users.
        window: Distance in events.
    """
    items = train[schema.ITEM_INDEX].to_numpy()
    stride = int(items.max(initial=0)) + 1
    # Narrow keys sort twice as fast.
    dtype = np.uint32 if stride**2 <= 1 << 32 else np.uint64
    users = train[schema.USER_INDEX].to_numpy()
    longest = int(find_runs(begins_run(users)).lengths.max(initial=0))
    keys = _pair_keys(users, items.astype(dtype), min(window, longest - 1), stride)
    keys.sort()
    distinct, starts = _distinct(keys)
    counts = np.diff(starts, append=len(keys)).astype(np.int32)
    del keys, starts
    return _edges(distinct, stride, counts)


def merge_edges(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the edges between items of several shards, sorted, their counts summed."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return _edges(np.empty(0, np.uint64), 1, np.empty(0, np.int32))
    lowest = min(int(part[LEFT_INDEX][0]) for part in parts)
    highest = max(int(part[LEFT_INDEX][-1]) for part in parts)
    stride, bits = _largest(parts, RIGHT_INDEX) + 1, _largest(parts, COUNT).bit_length()
    if (highest - lowest + 1) * stride << bits > 1 << 64:
        middle = (lowest + highest + 1) // 2
        halves = zip(*(split_by_left(part, [middle]) for part in parts), strict=True)
        return pl.concat([merge_edges(half) for half in halves])
    # An edge and its count in one integer sort several times faster than the order of the edges.
    keys = np.empty(sum(map(len, parts)), np.uint64)
    end = 0
    for part in parts:
        own = keys[end : end + len(part)]
        own[:] = part[LEFT_INDEX].to_numpy() - lowest
        own *= np.uint64(stride)
        own += part[RIGHT_INDEX].to_numpy().astype(np.uint64)
        own <<= np.uint64(bits)
        own |= part[COUNT].to_numpy().astype(np.uint64)
        end += len(part)
    keys.sort()
    counts = (keys & np.uint64((1 << bits) - 1)).astype(np.int32)
    keys >>= np.uint64(bits)
    distinct, starts = _distinct(keys)
    return _edges(distinct, stride, np.add.reduceat(counts, starts, dtype=np.int32), lowest)


def rows_by_left(edges: pl.DataFrame, num_items: int) -> Ints:
    """Return the number of edges of each left item, 0 first, shape ``(num_items + 1,)``."""
    return np.bincount(edges[LEFT_INDEX].to_numpy(), minlength=num_items + 1)


def left_bounds(rows: Ints, max_rows: int) -> list[int]:
    """Return the left items at which ranges of about ``max_rows`` edges end, for `split_by_left`.

    Args:
        rows: Sum of `rows_by_left` over the shards.
        max_rows: Edges of a range, before they are merged; one item more may be in it.
    """
    before = np.cumsum(rows) - rows
    return (np.flatnonzero(np.diff(before // max_rows)) + 1).tolist()


def split_by_left(edges: pl.DataFrame, bounds: Sequence[int]) -> list[pl.DataFrame]:
    """Return sorted edges in ranges of their left item; each bound starts a new one."""
    ends = np.searchsorted(edges[LEFT_INDEX].to_numpy(), np.asarray(bounds, np.int32))
    cuts = [0, *ends.tolist(), len(edges)]
    return [edges[start:end] for start, end in pairwise(cuts)]


def item_domain_edges(items: pl.DataFrame) -> pl.DataFrame:
    """Return the domains of each item."""
    return items.select(schema.ITEM_INDEX, pl.col(schema.DOMAINS).alias(schema.DOMAIN)).explode(
        schema.DOMAIN
    )


def item_tag_edges(
    items: pl.DataFrame, columns: Sequence[str], separator: str, path_separator: str | None = None
) -> pl.DataFrame:
    """Return the tags of each item, of all tag columns, each once.

    Args:
        items: Items with their index.
        columns: Columns of lists, or of strings that are split at ``separator``.
        separator: What separates the tags of a string.
        path_separator: What separates the levels of a category path; each level is a tag.
    """
    parts = [pl.DataFrame(schema={schema.ITEM_INDEX: pl.Int32, TAG: pl.String})]
    for name in columns:
        tags = split_tags(name, items.schema[name], separator, path_separator)
        parts.append(items.select(schema.ITEM_INDEX, tags.alias(TAG)).explode(TAG).drop_nulls())
    return pl.concat(parts).unique().sort(schema.ITEM_INDEX, TAG)


def item_brand_edges(items: pl.DataFrame, column: str | None) -> pl.DataFrame:
    """Return the brand of each item that has one."""
    brand = pl.lit(None, pl.String) if column is None else pl.col(column).cast(pl.String)
    edges = items.select(schema.ITEM_INDEX, brand.str.strip_chars().alias(BRAND))
    return edges.filter(pl.col(BRAND) != "")


def user_profile_edges(users: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return the profile values of each user, one row a field, or a value where it is a list."""
    parts = [pl.DataFrame(schema={schema.USER_INDEX: pl.Int32, FIELD: pl.String, VALUE: pl.String})]
    for name in columns:
        rows = users.select(schema.USER_INDEX, pl.lit(name).alias(FIELD), pl.col(name).alias(VALUE))
        rows = rows.explode(VALUE) if isinstance(users.schema[name], pl.List) else rows
        parts.append(rows.with_columns(pl.col(VALUE).cast(pl.String).str.strip_chars()))
    edges = pl.concat(parts).filter(pl.col(VALUE) != "")
    return edges.unique().sort(schema.USER_INDEX, FIELD, VALUE)


def _event_keys(train: pl.DataFrame, names: pl.Series) -> tuple[Ints, tuple[int, int]]:
    """Return one integer a row for its user, item and event, and the strides that part it."""
    users = train[schema.USER_INDEX].to_numpy().astype(np.int64)
    items = train[schema.ITEM_INDEX].to_numpy()
    num_names = max(len(names), 1)
    strides = ((int(items.max(initial=0)) + 1) * num_names, num_names)
    users *= strides[0]
    users += items.astype(np.int64) * strides[1]
    if num_names > 1:
        kinds = pl.Enum(names.drop_nulls())
        codes = train[schema.EVENT].cast(pl.String).cast(kinds).to_physical().cast(pl.Int64)
        # Null sorts first, so that the named ones start at 1 where there is one.
        codes = (codes + names.null_count()).fill_null(0)
        users += codes.to_numpy()
    return users, strides


def _event_weights(train: pl.DataFrame, event_weights: Mapping[str, float]) -> NDArray[np.float64]:
    weight = pl.lit(1.0)
    if schema.WEIGHT in train.columns:
        weight = pl.col(schema.WEIGHT).cast(pl.Float64).fill_null(1.0)
    if event_weights and schema.EVENT in train.columns:
        event = pl.col(schema.EVENT).cast(pl.String)
        factors = event.replace_strict(event_weights, default=1.0, return_dtype=pl.Float64)
        weight = weight * factors
    return train.select(pl.col(schema.ITEM_INDEX), weight.alias("w"))["w"].to_numpy()


def _pair_keys(users: Ints, items: Ints, window: int, stride: int) -> Ints:
    """Return ``lower * stride + higher`` for each two different items in reach of one user."""
    keys = np.empty(sum(max(len(users) - each, 0) for each in range(1, window + 1)), items.dtype)
    end = 0
    for distance in range(1, window + 1):
        for start in range(0, len(users) - distance, _CHUNK):
            one = slice(start, min(start + _CHUNK, len(users) - distance))
            other = slice(one.start + distance, one.stop + distance)
            is_pair = (users[one] == users[other]) & (items[one] != items[other])
            first, second = items[one][is_pair], items[other][is_pair]
            found = keys[end : end + len(first)]
            np.multiply(np.minimum(first, second), items.dtype.type(stride), out=found)
            found += np.maximum(first, second)
            end += len(first)
    return keys[:end]


def _distinct(keys: Ints) -> tuple[Ints, Ints]:
    """Return the distinct ones of sorted keys, and where each begins."""
    is_first = np.empty(len(keys), np.bool_)
    is_first[:1] = True
    np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
    starts = np.flatnonzero(is_first)
    return keys[starts], starts


def _largest(parts: Sequence[pl.DataFrame], column: str) -> int:
    return max(int(part[column].to_numpy().max()) for part in parts)


def _edges(keys: Ints, stride: int, counts: Ints, lowest: int = 0) -> pl.DataFrame:
    """Return edges from their packed ends, ``(left - lowest) * stride + right``."""
    left = keys // keys.dtype.type(stride)
    right = (keys - left * keys.dtype.type(stride)).astype(np.int32)
    left = left.astype(np.int32)
    left += np.int32(lowest)
    return pl.DataFrame({LEFT_INDEX: left, RIGHT_INDEX: right, COUNT: counts})
