"""Where frames stay between the steps of `prepare`: in memory, or in files, a shard at a time."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from typing_extensions import override

_ROWS_PER_BATCH = 1 << 18
"""Few, so that a part is read without the rest."""


class Workspace(ABC):
    """Frames by name and shard."""

    @abstractmethod
    def put(self, name: str, shard: int, rows: pl.DataFrame) -> None:
        """Keep ``rows``."""

    @abstractmethod
    def get(self, name: str, shard: int) -> pl.DataFrame:
        """Return what was put."""

    @abstractmethod
    def has(self, name: str, shard: int) -> bool:
        """Return whether a frame was put."""

    @abstractmethod
    def take(self, name: str, shard: int) -> pl.DataFrame:
        """Return what was put, and keep it no longer."""

    @abstractmethod
    def drop(self, name: str, shard: int) -> None:
        """Keep what was put no longer."""

    @abstractmethod
    def scan(self, name: str, shards: Sequence[int]) -> pl.LazyFrame:
        """Return the rows of all ``shards``, one after the other."""


class MemoryWorkspace(Workspace):
    """Frames in memory: for logs that fit."""

    def __init__(self) -> None:
        self.frames: dict[tuple[str, int], pl.DataFrame] = {}

    @override
    def put(self, name: str, shard: int, rows: pl.DataFrame) -> None:
        self.frames[name, shard] = rows

    @override
    def get(self, name: str, shard: int) -> pl.DataFrame:
        return self.frames[name, shard]

    @override
    def has(self, name: str, shard: int) -> bool:
        return (name, shard) in self.frames

    @override
    def take(self, name: str, shard: int) -> pl.DataFrame:
        return self.frames.pop((name, shard))

    @override
    def drop(self, name: str, shard: int) -> None:
        del self.frames[name, shard]

    @override
    def scan(self, name: str, shards: Sequence[int]) -> pl.LazyFrame:
        return pl.concat([self.get(name, shard).lazy() for shard in shards])


class FolderWorkspace(Workspace):
    """Frames in the files of a folder that all workers see."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @override
    def put(self, name: str, shard: int, rows: pl.DataFrame) -> None:
        path = self.path(name, shard)
        path.parent.mkdir(parents=True, exist_ok=True)
        rows.write_ipc(path, record_batch_size=_ROWS_PER_BATCH)

    @override
    def get(self, name: str, shard: int) -> pl.DataFrame:
        return pl.read_ipc(self.path(name, shard))

    @override
    def has(self, name: str, shard: int) -> bool:
        return self.path(name, shard).is_file()

    @override
    def take(self, name: str, shard: int) -> pl.DataFrame:
        rows = self.get(name, shard)
        self.drop(name, shard)
        return rows

    @override
    def drop(self, name: str, shard: int) -> None:
        self.path(name, shard).unlink()

    @override
    def scan(self, name: str, shards: Sequence[int]) -> pl.LazyFrame:
        return pl.concat([pl.scan_ipc(self.path(name, shard)) for shard in shards])

    def path(self, name: str, shard: int) -> Path:
        """Return the file of a frame."""
        return self.folder / name / f"{shard}.arrow"
