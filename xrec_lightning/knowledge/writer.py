"""Building a knowledge store: only missing texts are encoded, and a killed build goes on."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from xrec_lightning.knowledge.formats import Columns, pack
from xrec_lightning.knowledge.shards import Shard, Shards, refuse_lost
from xrec_lightning.knowledge.store import (
    INDEX_FILE,
    INDEX_SCHEMA,
    STORE_FILE,
    VECTORS_FILE,
    KnowledgeStore,
    StoreError,
    StoreSpec,
    digest,
    write_description,
)

Encode = Callable[[Sequence[str], NDArray[np.bool_]], Iterable[tuple[NDArray[np.integer], Tensor]]]
"""From texts, and which of them are done, to batches: positions of texts, and their vectors.

Which texts make up a batch must depend on the texts alone, not on what is done, so that a build
that was killed ends with the same bytes; a batch that is done may be left out, and batches may come
in any order."""


class Work(NamedTuple):
    """Texts to be encoded. T texts."""

    plan: str
    """Hash of the keys."""
    keys: list[str]
    """Their keys, T of them."""
    texts: list[str]
    """Shortest first, T of them."""
    is_done: NDArray[np.bool_]
    """Which ones a build that was killed has left, shape ``(T,)``."""


class StoreBuild:
    """A store that is to be written: what is missing, and in the end the store.

    The new store replaces the old one at once.

    Args:
        folder: Where the store lies; its shards lie in a hidden folder beside it until it is done.
        entries: Rows of kind, id and text; rows without text have no vector.
        spec: What decides a vector beside its text.

    Raises:
        StoreError: If there is a store of another model, or a broken one.
    """

    def __init__(self, folder: Path, entries: pl.DataFrame, spec: StoreSpec) -> None:
        entries = entries.filter(pl.col("text").is_not_null() & (pl.col("text") != ""))
        self.folder = folder
        self.spec = spec
        self.texts = {spec.key(text): text for text in entries["text"].unique()}
        self.index = _index(entries, spec)
        self.shards = shards_of(folder)
        _recover(folder)
        self.previous = KnowledgeStore.open(folder) if (folder / STORE_FILE).is_file() else None
        if self.previous is not None:
            _refuse_other_model(self.previous, spec)

    @cached_property
    def is_finished(self) -> bool:
        """Whether the store that lies there is the one wanted."""
        return self.previous is not None and self.previous.index.equals(self.index)

    def work(self) -> Work:
        """Return what neither the old store nor a build that was killed has."""
        known = set() if self.previous is None else self.texts.keys() & self.previous.keys().keys()
        done: dict[str, set[str]] = {}
        for shard in self.shards.read():
            done.setdefault(shard.plan, set()).update(shard.keys)
        work = self._without(known, done)
        if done and work.plan not in done:
            # The texts have changed since: what is there is as good as an old store.
            work = self._without(known.union(*done.values()), {})
        return work

    def finish(self) -> KnowledgeStore:
        """Put the store in its place, once all work is done, and open it."""
        if self.is_finished and self.previous is not None:
            self.shards.remove()
            return self.previous
        self._replace(self._gather())
        self.shards.remove()
        return KnowledgeStore.open(self.folder)

    def _without(self, known: set[str], done: dict[str, set[str]]) -> Work:
        keys = sorted(self.texts.keys() - known, key=lambda key: (len(self.texts[key]), key))
        plan = digest(keys)
        is_done = np.array([key in done.get(plan, ()) for key in keys], dtype=bool)
        return Work(plan, keys, [self.texts[key] for key in keys], is_done)

    def _gather(self) -> Columns:
        """Return what is stored of all texts, in the order of their keys."""
        keys = sorted(self.texts)
        rows = {key: row for row, key in enumerate(keys)}
        columns: Columns = {}
        is_found = np.zeros(len(keys), dtype=bool)
        for source_keys, part in self._sources():
            held = [(place, rows[key]) for place, key in enumerate(source_keys) if key in rows]
            if held:
                places, targets = torch.tensor(held).T
                for name, column in part.items():
                    if name not in columns:
                        columns[name] = column.new_zeros(len(keys), *column.shape[1:])
                    columns[name][targets] = column[places]
                is_found[targets.numpy()] = True
        refuse_lost([keys[row] for row in np.flatnonzero(~is_found)], self.shards.folder)
        return columns or pack(torch.zeros(0, 0), self.spec.dtype)

    def _sources(self) -> Iterable[tuple[list[str], Columns]]:
        if self.previous is not None:
            row_keys = self.previous.index.select("row", "key").unique().sort("row")
            if not self.texts.keys().isdisjoint(row_keys["key"]):
                yield row_keys["key"].to_list(), self.previous.columns
        for shard in self.shards.read():
            yield shard.keys, shard.columns

    def _replace(self, columns: Columns) -> None:
        """Put a complete store where the old one was; a kill leaves one of them complete."""
        new, old = _beside(self.folder, "new"), _beside(self.folder, "old")
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        new.mkdir(parents=True)
        save_file(columns, new / VECTORS_FILE)
        self.index.write_parquet(new / INDEX_FILE)
        write_description(new, self.spec, self.index, columns)
        if self.folder.exists():
            self.folder.rename(old)
        new.rename(self.folder)
        shutil.rmtree(old, ignore_errors=True)


def encode_work(
    shards: Shards,
    work: Work,
    vector_format: str,
    encode: Encode,
    shard_texts: int = 1024,
    on_progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Write the vectors of the texts that are not done as shards.

    Args:
        shards: Where they are written.
        work: All texts.
        vector_format: Number format of the vectors.
        encode: Called with all texts, if one of them is not done.
        shard_texts: A shard holds whole batches of at least so many texts.
        on_progress: Called with the number of texts of each batch.
    """
    keys: list[str] = []
    parts: list[Tensor] = []

    def write() -> None:
        shards.write(Shard(work.plan, list(keys), pack(torch.cat(parts), vector_format)))
        keys.clear()
        parts.clear()

    if work.is_done.all():
        return
    for positions, vectors in encode(work.texts, work.is_done):
        keys.extend(work.keys[position] for position in positions)
        parts.append(vectors)
        on_progress(len(positions))
        if len(keys) >= shard_texts:
            write()
    if keys:
        write()


def shards_of(folder: Path) -> Shards:
    """Return the shards of the store in ``folder``."""
    return Shards(_beside(folder, "shards"))


def _index(entries: pl.DataFrame, spec: StoreSpec) -> pl.DataFrame:
    """Return the index of a store: rows are numbered in the order of the keys."""
    distinct = entries.select("text").unique()
    keys = pl.Series("key", [spec.key(text) for text in distinct["text"]], dtype=pl.String)
    rows = distinct.with_columns(keys).sort("key").with_row_index("row")
    joined = entries.join(rows, on="text").select(
        [pl.col(name).cast(dtype) for name, dtype in INDEX_SCHEMA.items()]
    )
    return joined.unique(["kind", "id"], keep="first", maintain_order=True).sort("kind", "id")


def _refuse_other_model(store: KnowledgeStore, spec: StoreSpec) -> None:
    """Raise where a store is of another model by weights and by name; a trained one may go on."""
    found = tuple(store.description.get(name) for name in ("model", "adapter"))
    wanted = (spec.model, spec.adapter)
    if store.description.get("weights") != spec.weights and found != wanted:
        raise StoreError(
            f"{store.folder / STORE_FILE}: built by model {found[0]} (adapter {found[1]}), not by "
            f"{wanted[0]} (adapter {wanted[1]}); choose another `output`, or remove the folder"
        )


def _recover(folder: Path) -> None:
    """Undo half of a replacement."""
    old = _beside(folder, "old")
    if old.exists() and not folder.exists():
        old.rename(folder)


def _beside(folder: Path, name: str) -> Path:
    return folder.parent / f".{folder.name}.{name}"
