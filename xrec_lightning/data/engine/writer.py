"""Write a prepared folder, from the frames of all shards."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from xrec_lightning import schema

_ROWS_PER_GROUP = 1 << 20
_EVENT_ARRAYS: dict[str, tuple[str, type]] = {
    schema.ITEM_INDEX: ("item_ids", np.int32),
    schema.DOMAIN_INDEX: ("domain_ids", np.int32),
    schema.TIMESTAMP: ("times", np.int64),
    schema.WEIGHT: ("weights", np.float32),
}
"""Array and its type, by column of the events."""


class ArrayFile:
    """A `.npy` file of one dimension that is written part after part.

    Args:
        path: The file.
        dtype: Of the numbers.
        length: How many numbers all parts have together.
    """

    def __init__(self, path: Path, dtype: np.dtype | type, length: int) -> None:
        self.dtype = np.dtype(dtype)
        self.file = path.open("wb")
        header = {
            "descr": np.lib.format.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": (length,),
        }
        np.lib.format.write_array_header_1_0(self.file, header)

    def add(self, values: np.ndarray) -> None:
        """Write the next numbers."""
        # Not `tofile`, whose error does not tell that the disk is full.
        self.file.write(np.ascontiguousarray(values, self.dtype).data)

    def __enter__(self) -> "ArrayFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


class SequenceWriter:
    """Writes the arrays of the sequence store, a shard after the other.

    Args:
        folder: The folder that is being made.
        num_users: Users of all shards.
        num_events: Events of the store, of all shards.
        with_weights: Whether the events have weights.
    """

    def __init__(self, folder: Path, num_users: int, num_events: int, with_weights: bool) -> None:
        self.folder = folder / schema.SEQUENCES_FOLDER
        self.folder.mkdir()
        self._events = 0
        with ExitStack() as files:

            def create(name: str, dtype: type, length: int) -> ArrayFile:
                return files.enter_context(ArrayFile(self.folder / f"{name}.npy", dtype, length))

            self.offsets = create("offsets", np.int64, num_users + 1)
            self.train_ends = create("train_ends", np.int64, num_users)
            self.columns = {
                column: create(name, dtype, num_events)
                for column, (name, dtype) in _EVENT_ARRAYS.items()
                if with_weights or column != schema.WEIGHT
            }
            self.offsets.add(np.zeros(1))
            self.files = files.pop_all()

    def add(self, events: pl.DataFrame, offsets: np.ndarray, train_ends: np.ndarray) -> None:
        """Write the events of a shard.

        Args:
            events: Events of the store, in flat order.
            offsets: First event of each user of the shard and the end of the last, from 0.
            train_ends: End of each user's training events, from 0.
        """
        self.offsets.add(offsets[1:] + self._events)
        self.train_ends.add(train_ends + self._events)
        for column, array in self.columns.items():
            array.add(events[column].to_numpy())
        self._events += len(events)

    def close(self) -> None:
        """Write what is left to the disk."""
        self.files.close()

    def __enter__(self) -> "SequenceWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_array(path: Path, values: np.ndarray) -> None:
    """Write a `.npy` file."""
    rows = np.ascontiguousarray(values)
    with path.open("wb") as file:
        header = np.lib.format.header_data_from_array_1_0(rows)
        np.lib.format.write_array_header_1_0(file, header)
        file.write(rows.data)


def write_dislikes(folder: Path, dislikes: pl.DataFrame, num_users: int) -> None:
    """Write the dislikes of training, one row a user and item, sorted, where there are any."""
    if len(dislikes) == 0:
        return
    users = dislikes[schema.USER_INDEX].to_numpy()
    offsets = np.searchsorted(users, np.arange(1, num_users + 2)).astype(np.int64)
    write_array(folder / schema.SEQUENCES_FOLDER / "dislike_offsets.npy", offsets)
    items = dislikes[schema.ITEM_INDEX].to_numpy().astype(np.int32)
    write_array(folder / schema.SEQUENCES_FOLDER / "dislike_ids.npy", items)


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
