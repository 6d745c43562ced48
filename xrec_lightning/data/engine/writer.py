"""Write a prepared folder, from the frames of all shards."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from xrec_lightning import schema

_ROWS_PER_GROUP = 1 << 20


class SequenceWriter:
    """Fill the arrays of the sequence store, a shard after the other.

    Args:
        folder: The folder that is being made.
        num_users: Users of all shards.
        num_events: Events of the store, of all shards.
        with_weights: Whether the events have weights.
    """

    def __init__(self, folder: Path, num_users: int, num_events: int, with_weights: bool) -> None:
        self.folder = folder / schema.SEQUENCES_FOLDER
        self.folder.mkdir()
        self._users = 0
        self._events = 0
        self.offsets = self._new("offsets", np.int64, num_users + 1)
        self.train_ends = self._new("train_ends", np.int64, num_users)
        columns: dict[str, tuple[str, type]] = {
            "item_ids": (schema.ITEM_INDEX, np.int32),
            "domain_ids": (schema.DOMAIN_INDEX, np.int32),
            "times": (schema.TIMESTAMP, np.int64),
        }
        if with_weights:
            columns["weights"] = (schema.WEIGHT, np.float32)
        self.columns = {
            column: self._new(name, dtype, num_events) for name, (column, dtype) in columns.items()
        }

    def add(self, events: pl.DataFrame, offsets: np.ndarray, train_ends: np.ndarray) -> None:
        """Write the events of a shard.

        Args:
            events: Events of the store, in flat order.
            offsets: First event of each user of the shard and the end of the last, from 0.
            train_ends: End of each user's training events, from 0.
        """
        users = slice(self._users, self._users + len(train_ends))
        self.offsets[users] = offsets[:-1] + self._events
        self.train_ends[users] = train_ends + self._events
        for column, array in self.columns.items():
            values = events[column].to_numpy()
            array[self._events : self._events + len(events)] = values
        self._users += len(train_ends)
        self._events += len(events)
        self.offsets[self._users] = self._events

    def close(self) -> None:
        """Write what is left to the disk."""
        for array in (self.offsets, self.train_ends, *self.columns.values()):
            if isinstance(array, np.memmap):
                array.flush()

    def _new(self, name: str, dtype: type, length: int) -> np.ndarray:
        path = self.folder / f"{name}.npy"
        if length == 0:  # nothing cannot be mapped
            np.save(path, np.empty(0, dtype))
            return np.empty(0, dtype)
        return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(length,))


def write_dislikes(folder: Path, dislikes: pl.DataFrame, num_users: int) -> None:
    """Write the dislikes of training, one row a user and item, sorted, where there are any."""
    if len(dislikes) == 0:
        return
    users = dislikes[schema.USER_INDEX].to_numpy()
    offsets = np.searchsorted(users, np.arange(1, num_users + 2)).astype(np.int64)
    np.save(folder / schema.SEQUENCES_FOLDER / "dislike_offsets.npy", offsets)
    items = dislikes[schema.ITEM_INDEX].to_numpy().astype(np.int32)
    np.save(folder / schema.SEQUENCES_FOLDER / "dislike_ids.npy", items)


def write_tables(folder: Path, tables: Mapping[str, pl.DataFrame | pl.LazyFrame]) -> None:
    """Write the frames, by file name within the folder; a lazy one is never whole in memory."""
    for name, rows in tables.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        rows.lazy().sink_parquet(path, compression="zstd", row_group_size=_ROWS_PER_GROUP)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest."""
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (folder / schema.MANIFEST).write_text(text + "\n", encoding="utf-8")
