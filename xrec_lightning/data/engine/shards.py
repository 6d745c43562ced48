"""What the steps of `prepare` on a shard are given, and what they tell of it.

A step takes the `Shards` first and the number of the shard last, leaves frames in the workspace for
the next one, and returns what the whole log needs to know.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.engine.log import ParsedLog
from xrec_lightning.data.engine.workspace import Workspace
from xrec_lightning.data.raw.readers import ROW, SOURCE, VALUE
from xrec_lightning.data.steps.runs import Ints
from xrec_lightning.data.steps.vocab import decode

USERS = "users"
"""Name of the frame with the users of a shard."""
REJECTED = "rejected"
"""Name of the frame with the rejected rows of a shard."""

REJECTED_DTYPES: dict[str, type[pl.DataType]] = {
    SOURCE: pl.String,
    ROW: pl.UInt32,
    schema.REASON: pl.String,
    schema.USER_ID: pl.String,
    schema.ITEM_ID: pl.String,
    VALUE: pl.String,
}
"""Columns of rejected rows."""

_MAX_SPREAD = 8


@dataclass(frozen=True)
class Shards:
    """What every step on a shard is given."""

    config: PrepareConfig
    log: ParsedLog
    frames: Workspace

    @property
    def numbers(self) -> range:
        """All shards."""
        return range(self.log.num_shards)

    def users(self, shard: int) -> pl.Series:
        """Return the sorted ids of the users of a shard, as it was read."""
        return self.frames.get(USERS, shard)[schema.USER_ID]


class Vocabulary(NamedTuple):
    """Ids of the log before anything is dropped; index ``i`` is the ``i - 1``-th."""

    first_users: list[int]
    """Index of the first user of every shard, and the end of the last."""
    items: pl.Series
    domains: pl.Series
    item_domains: Ints
    """Domain that the catalog gives an item, 0 for none, by item index, shape ``(N + 1,)``."""
    last_time: int | None
    """Last time of the log in seconds, None without a readable one."""

    @property
    def num_users(self) -> int:
        """More than the largest user index."""
        return self.first_users[-1]

    @property
    def num_items(self) -> int:
        """More than the largest item index."""
        return len(self.items) + 1


def reject(shards: Shards, rows: pl.DataFrame, vocabulary: Vocabulary, shard: int) -> pl.DataFrame:
    """Add ``rows`` to the rejected rows of a shard and return them, under their ids."""
    users = decode(rows[schema.USER_INDEX], shards.users(shard), vocabulary.first_users[shard])
    items = decode(rows[schema.ITEM_INDEX], vocabulary.items)
    named = rows.select(
        pl.col(SOURCE).cast(pl.String),
        ROW,
        schema.REASON,
        users.alias(schema.USER_ID),
        items.alias(schema.ITEM_ID),
        VALUE,
    )
    if shards.frames.has(REJECTED, shard):
        shards.frames.put(REJECTED, shard, pl.concat([shards.frames.get(REJECTED, shard), named]))
    else:
        shards.frames.put(REJECTED, shard, named)
    return named


def pack_pairs(rows: pl.DataFrame) -> Ints:
    """Return the distinct pairs of item and domain, sorted, as ``item << 32 | domain``."""
    domains = rows[schema.DOMAIN_INDEX].to_numpy()
    num_domains = int(domains.max(initial=0)) + 1
    keys = rows[schema.ITEM_INDEX].to_numpy().astype(np.int64) * num_domains + domains
    # Counting is faster than sorting, as long as there are not many more keys than rows.
    is_dense = keys.max(initial=0) < _MAX_SPREAD * max(len(keys), 1)
    distinct = np.flatnonzero(np.bincount(keys)) if is_dense else np.unique(keys)
    return (distinct // num_domains << 32) | distinct % num_domains


def unpack_pairs(parts: Sequence[Ints], items: pl.Series, domains: pl.Series) -> pl.DataFrame:
    """Return item_id and domain of packed pairs, distinct."""
    pairs = np.unique(np.concatenate(parts))
    item_ids = decode(pl.Series(pairs >> 32), items)
    names = decode(pl.Series(pairs & (2**32 - 1)), domains)
    return pl.DataFrame({schema.ITEM_ID: item_ids, schema.DOMAIN: names})
