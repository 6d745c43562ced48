"""The prepared folder: how it is laid out on disk, written and read."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from xrec_lightning import schema

_OFFSETS = "offsets"
_ITEM_IDS = "item_ids"
_DOMAIN_IDS = "domain_ids"
_TIMES = "times"
_TRAIN_ENDS = "train_ends"
_WEIGHTS = "weights"
_DISLIKE_OFFSETS = "dislike_offsets"
_DISLIKE_IDS = "dislike_ids"


@dataclass(frozen=True)
class Prepared:
    """A prepared data set, opened for reading. U users, N events of the store.

    User ``u`` (from 1) owns the flat positions ``[offsets[u - 1], offsets[u])``, ordered by time;
    the training events are those before ``train_ends[u - 1]``.
    """

    folder: Path
    """Where it lies."""
    manifest: dict[str, Any]
    """Counts, hashes and names."""

    @classmethod
    def open(cls, folder: Path) -> "Prepared":
        """Return the data set in ``folder``.

        Raises:
            FileNotFoundError: If the folder holds none.
        """
        path = folder / schema.MANIFEST
        if not path.is_file():
            raise FileNotFoundError(f"{folder}: no {schema.MANIFEST}; run `xrec prepare` first")
        return cls(folder, json.loads(path.read_text()))

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains; domain index ``i`` is ``domains[i - 1]``."""
        return tuple(self.manifest["domains"])

    @property
    def protocol(self) -> str:
        """Hash of what defines the evaluation."""
        return str(self.manifest["protocol"])

    def interactions(self) -> pl.LazyFrame:
        """Return all interactions; the first N rows are the store's, hidden events follow."""
        return pl.scan_parquet(self.folder / schema.INTERACTIONS_FILE)

    def items(self) -> pl.DataFrame:
        """Return the items, item_index 1 first."""
        return pl.read_parquet(self.folder / schema.ITEMS_FILE)

    def users(self) -> pl.DataFrame:
        """Return the users, user_index 1 first."""
        return pl.read_parquet(self.folder / schema.USERS_FILE)

    def targets(self, split: str) -> pl.DataFrame:
        """Return the targets of `val` or `test`, one a row."""
        return pl.read_parquet(self.folder / schema.TARGETS_FOLDER / f"{split}.parquet")

    def graph(self, name: str) -> pl.DataFrame:
        """Return the edges of one kind, such as `item_item`."""
        return pl.read_parquet(self.folder / schema.GRAPH_FOLDER / f"{name}.parquet")

    @cached_property
    def offsets(self) -> np.ndarray:
        """Start of each user's events and the end of the last, int64, shape ``(U + 1,)``."""
        return self._array(_OFFSETS)

    @cached_property
    def item_ids(self) -> np.ndarray:
        """Items of the events, int32, shape ``(N,)``."""
        return self._array(_ITEM_IDS)

    @cached_property
    def domain_ids(self) -> np.ndarray:
        """Domains of the events, int32, shape ``(N,)``."""
        return self._array(_DOMAIN_IDS)

    @cached_property
    def times(self) -> np.ndarray:
        """Times of the events in seconds, int64, shape ``(N,)``."""
        return self._array(_TIMES)

    @cached_property
    def train_ends(self) -> np.ndarray:
        """End of each user's training events, int64, shape ``(U,)``."""
        return self._array(_TRAIN_ENDS)

    @cached_property
    def weights(self) -> np.ndarray | None:
        """Weights of the events in training, float32, shape ``(N,)``; ``None`` when all are 1."""
        return self._optional(_WEIGHTS)

    @cached_property
    def dislikes(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Items that users disliked before their validation time; ``None`` when there are none.

        Offsets, int64, shape ``(U + 1,)``, and the items of all users, int32.
        """
        offsets, item_ids = self._optional(_DISLIKE_OFFSETS), self._optional(_DISLIKE_IDS)
        return None if offsets is None or item_ids is None else (offsets, item_ids)

    def _optional(self, name: str) -> np.ndarray | None:
        path = self.folder / schema.SEQUENCES_FOLDER / f"{name}.npy"
        return self._array(name) if path.is_file() else None

    def _array(self, name: str) -> np.ndarray:
        return np.load(self.folder / schema.SEQUENCES_FOLDER / f"{name}.npy", mmap_mode="r")
