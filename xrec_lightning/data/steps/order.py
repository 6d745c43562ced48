"""The order of the store: users, then times; equal times by a hash, whatever the files' order.

Events of one user with equal time have no order. `ORDER` is what counts as time in every
comparison: the timestamp, or, for protocols that believe the file, the position in it.
"""

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.raw.readers import ROW, SOURCE
from xrec_lightning.data.stable_hash import Stream, stable_hash
from xrec_lightning.data.steps.runs import Ints, begins_run, has_equal_neighbor

ORDER = "order"
"""Int64; what is strictly earlier has a smaller value. It compares events of one user only."""

CONTENT = (
    schema.DOMAIN_INDEX,
    schema.EVENT,
    schema.RATING,
    schema.WEIGHT,
    schema.SESSION_ID,
)
"""What an event says beside user, item and time, where there is such a column."""

_HASH = "_hash"


def add_order(interactions: pl.DataFrame, ties: str) -> pl.DataFrame:
    """Return the interactions with `ORDER`: their timestamp, or with ``ties="file"`` their rank."""
    if ties == "shuffle":
        return interactions.with_columns(pl.col(schema.TIMESTAMP).alias(ORDER))
    ranked = interactions.sort(schema.USER_INDEX, schema.TIMESTAMP, SOURCE, ROW)
    return ranked.with_columns(pl.Series(ORDER, np.arange(len(ranked))))


def sort_flat(interactions: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return the interactions in flat order: by user, then by `ORDER`, ties shuffled by ``seed``.

    A tie is broken by a hash of user and item, then by what the event says, and between exact
    duplicates by file and row: the order is the same for any order of the rows and any shards.
    """
    rows = _flat_rows(interactions, seed)
    if rows is None:
        return interactions
    is_time, names = _is_time(interactions), interactions.columns
    rest = interactions.drop(ORDER) if is_time else interactions.clone()
    del interactions
    # One column after the other, so that a caller who keeps no frame holds no column twice.
    moved = [rest.drop_in_place(name).gather(rows) for name in rest.columns]
    if is_time:  # the same column twice is moved once
        moved += [each.alias(ORDER) for each in moved if each.name == schema.TIMESTAMP]
    return pl.DataFrame(moved).select(names)


def _flat_rows(interactions: pl.DataFrame, seed: int) -> pl.Series | None:
    """Return the positions in flat order, UInt32, None if that is the order given."""
    keys = flat_keys(interactions[schema.USER_INDEX].to_numpy(), interactions[ORDER].to_numpy())
    is_sorted = bool((keys[1:] >= keys[:-1]).all())
    rows, keys = (np.arange(len(keys)), keys) if is_sorted else _sort_keys(keys)
    tied = np.flatnonzero(has_equal_neighbor(keys))
    rows[tied] = _break_ties(interactions, rows[tied], keys[tied], seed)
    is_in_order = is_sorted and bool((rows[tied] == tied).all())
    return None if is_in_order else pl.Series(rows.astype(np.uint32))


def flat_keys(users: Ints, orders: Ints) -> Ints:
    """Return one int64 a row that sorts by user, then by order; shape ``(N,)``."""
    if not len(users):
        return np.zeros(0, dtype=np.int64)
    first, low = int(users.min()), int(orders.min())
    span = int(orders.max()) - low + 1
    if (int(users.max()) - first + 1) * span >= 2**63:
        distinct, orders = np.unique(orders, return_inverse=True)
        low, span = 0, len(distinct)
    return (users.astype(np.int64) - first) * span + (orders - low)


def _is_time(interactions: pl.DataFrame) -> bool:
    return interactions[ORDER].equals(interactions[schema.TIMESTAMP])


def _sort_keys(keys: Ints) -> tuple[Ints, Ints]:
    """Return the positions that sort keys, none of them negative, and the sorted keys."""
    bits = len(keys).bit_length()
    if int(keys.max()) >= 1 << (63 - bits):
        rows = np.argsort(keys)
        return rows, keys[rows]
    # Sorting numbers that hold their position is several times faster than sorting positions.
    packed = keys << bits
    packed |= np.arange(len(keys))
    packed.sort()
    rows = packed & ((1 << bits) - 1)
    packed >>= bits
    return rows, packed


def _break_ties(interactions: pl.DataFrame, rows: Ints, keys: Ints, seed: int) -> Ints:
    """Return ``rows``, whose ``keys`` ascend, sorted by hash and content where keys are equal."""
    users, items = (
        interactions[name].to_numpy()[rows] for name in (schema.USER_INDEX, schema.ITEM_INDEX)
    )
    hashes = stable_hash(seed, Stream.TIES, users, items)
    del users, items
    groups = np.cumsum(begins_run(keys)).astype(np.uint64)
    # One number sorts much faster than two: the hash gives up the bits that the groups need.
    bits = np.uint64(len(rows).bit_length())
    groups <<= np.uint64(64) - bits
    packed = groups | (hashes >> bits)
    places = np.argsort(packed)
    rows, packed = rows[places], packed[places]
    alike = np.flatnonzero(has_equal_neighbor(packed))
    rows[alike] = rows[alike][_by_content(interactions[rows[alike]], packed[alike])]
    return rows


def _by_content(interactions: pl.DataFrame, hashes: Ints) -> Ints:
    """Return the places of the interactions when sorted by ``hashes``, then by what they say."""
    names = [name for name in (schema.ITEM_INDEX, *CONTENT) if name in interactions.columns]
    rows = interactions.with_columns(pl.Series(_HASH, hashes))
    return rows.select(pl.arg_sort_by(_HASH, *names, SOURCE, ROW)).to_series().to_numpy()
