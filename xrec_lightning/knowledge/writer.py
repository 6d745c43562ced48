"""Building a knowledge store: only missing texts are encoded, and a killed build goes on."""

import shutil
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path

import polars as pl
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from xrec_lightning.knowledge.store import (
    INDEX_FILE,
    INDEX_SCHEMA,
    STORE_FILE,
    VECTORS,
    VECTORS_FILE,
    KnowledgeStore,
    StoreSpec,
    write_description,
)

Encode = Callable[[Sequence[str]], Tensor]
"""From texts to their vectors, shape ``(texts, width)``."""

KEYS = "keys"


def build_store(
    folder: Path,
    entries: pl.DataFrame,
    spec: StoreSpec,
    encode: Encode,
    *,
    shard_texts: int = 1024,
    on_progress: Callable[[int], None] = lambda _: None,
) -> KnowledgeStore:
    """Write the store of ``entries`` into ``folder`` and open it.

    Vectors come from the store that was there, from the shards that a killed build left beside it,
    and from ``encode`` for the rest, a shard at a time. The new store replaces the old one at once.

    Args:
        folder: Where the store lies; its shards lie in a hidden folder beside it until it is done.
        entries: Rows of kind, id and text; rows without text have no vector.
        spec: What decides a vector beside its text.
        encode: Called with distinct texts, shortest first.
        shard_texts: Texts encoded between two writes.
        on_progress: Called with the number of distinct texts that became available.
    """
    entries = entries.filter(pl.col("text").is_not_null() & (pl.col("text") != ""))
    texts = {spec.key(text): text for text in entries["text"].unique()}
    index = _index(entries, spec)
    shards = folder.parent / f".{folder.name}.shards"
    _recover(folder)
    previous = KnowledgeStore.open(folder) if (folder / STORE_FILE).is_file() else None
    if previous is not None and previous.index.equals(index):
        on_progress(len(texts))
        shutil.rmtree(shards, ignore_errors=True)
        return previous
    vectors = _read_previous(previous, texts) | _read_shards(shards, texts)
    on_progress(len(vectors))
    for encoded in _encode_missing(shards, texts, vectors.keys(), spec, encode, shard_texts):
        vectors.update(encoded)
        on_progress(len(encoded))
    matrix = torch.stack([vectors[key] for key in sorted(texts)]) if texts else torch.zeros(0, 0)
    _replace(folder, index, matrix, spec)
    shutil.rmtree(shards, ignore_errors=True)
    return KnowledgeStore.open(folder)


def _encode_missing(
    shards: Path,
    texts: dict[str, str],
    known: Set[str],
    spec: StoreSpec,
    encode: Encode,
    shard_texts: int,
) -> Iterator[dict[str, Tensor]]:
    """Yield the vectors of the texts that are not ``known``, each shard once it is on disk."""
    missing = sorted(texts.keys() - known, key=lambda key: (len(texts[key]), key))
    for start in range(0, len(missing), shard_texts):
        keys = missing[start : start + shard_texts]
        encoded = encode([texts[key] for key in keys]).to(getattr(torch, spec.dtype)).contiguous()
        _write_shard(shards, keys, encoded)
        yield dict(zip(keys, encoded, strict=True))


def _index(entries: pl.DataFrame, spec: StoreSpec) -> pl.DataFrame:
    """Return the index of a store: rows are numbered in the order of the keys."""
    distinct = entries.select("text").unique()
    keys = pl.Series("key", [spec.key(text) for text in distinct["text"]], dtype=pl.String)
    rows = distinct.with_columns(keys).sort("key").with_row_index("row")
    joined = entries.join(rows, on="text").select(
        [pl.col(name).cast(dtype) for name, dtype in INDEX_SCHEMA.items()]
    )
    return joined.unique(["kind", "id"], keep="first", maintain_order=True).sort("kind", "id")


def _read_previous(store: KnowledgeStore | None, texts: dict[str, str]) -> dict[str, Tensor]:
    if store is None:
        return {}
    return {key: store.matrix[row] for key, row in store.keys().items() if key in texts}


def _read_shards(shards: Path, texts: dict[str, str]) -> dict[str, Tensor]:
    """Return the finished vectors that a killed build left."""
    vectors: dict[str, Tensor] = {}
    for path in sorted(shards.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            keys = file.metadata()[KEYS].split()
            rows = file.get_tensor(VECTORS)
        found: Iterator[tuple[str, Tensor]] = zip(keys, rows, strict=True)
        vectors.update({key: row for key, row in found if key in texts})
    return vectors


def _write_shard(shards: Path, keys: Sequence[str], vectors: Tensor) -> None:
    shards.mkdir(parents=True, exist_ok=True)
    partial = shards / f"{keys[0]}.partial"
    save_file({VECTORS: vectors}, partial, metadata={KEYS: " ".join(keys)})
    partial.replace(partial.with_suffix(".safetensors"))


def _replace(folder: Path, index: pl.DataFrame, vectors: Tensor, spec: StoreSpec) -> None:
    """Put a complete store where the old one was; a kill leaves one of them complete."""
    new, old = _beside(folder, "new"), _beside(folder, "old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir(parents=True)
    save_file({VECTORS: vectors}, new / VECTORS_FILE)
    index.write_parquet(new / INDEX_FILE)
    write_description(new, spec, index, dim=vectors.size(1))
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _recover(folder: Path) -> None:
    """Undo half of a replacement."""
    old = _beside(folder, "old")
    if old.exists() and not folder.exists():
        old.rename(folder)


def _beside(folder: Path, name: str) -> Path:
    return folder.parent / f".{folder.name}.{name}"
