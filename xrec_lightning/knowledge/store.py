"""The store of knowledge vectors: one row a distinct text, found by kind and id.

A store is a folder of ``vectors.safetensors`` (tensor ``vectors``, texts x width, and of int8 ones
their ``scales``), ``index.parquet`` (kind, id, key, row) and ``store.json`` (what made the
vectors). Rows are sorted by key, the hash of the text and of all that decides its vector.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Literal

import polars as pl
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from xrec_lightning.knowledge.formats import VECTORS, Columns, checksum, take, unpack

Kind = Literal["item", "user", "domain", "entity", "history"]
KINDS: tuple[Kind, ...] = ("item", "user", "domain", "entity", "history")

VECTORS_FILE = "vectors.safetensors"
INDEX_FILE = "index.parquet"
STORE_FILE = "store.json"
INDEX_SCHEMA = {"kind": pl.String, "id": pl.String, "key": pl.String, "row": pl.Int64}
_REMEDY = "remove the folder and run `xrec embed` again"


class StoreError(ValueError):
    """A store is broken, or another one than is asked for."""


@dataclass(frozen=True, kw_only=True)
class StoreSpec:
    """Everything but the text that decides a vector."""

    model: str
    """Name of the language model, for people; `weights` decides."""
    adapter: str | None
    """Name of the adapter, for people; `weights` decides."""
    weights: str
    """Hash of the weights of model and adapter and of the tokenizer."""
    pooling: str
    """How a text's hidden states become one vector."""
    max_tokens: int
    """Longest text, in tokens; the rest is cut off."""
    dtype: str = "float32"
    """Number format of the vectors: ``float32``, ``float16`` or ``int8``."""
    precision: str = "fp32"
    """Number format of the computation."""
    truncate_dim: int | None = None
    """Leading numbers of each vector that are kept and scaled to length 1; all by default."""
    normalize: bool = False
    """Whether vectors have length 1."""
    history_until: str | None = None
    """Where the history texts end, for people; the texts say it too."""

    def key(self, text: str) -> str:
        """Return the key of ``text``: equal keys mean equal vectors, up to rounding."""
        decisive = (self.weights, self.pooling, str(self.max_tokens), self.dtype)
        # Later fields count where they are set, so that the stores written before keep their keys.
        later = [
            f"{field.name}={value}"
            for field in fields(self)
            if field.name in _LATER_FIELDS and (value := getattr(self, field.name)) != field.default
        ]
        return digest((*decisive, *later, text))


_LATER_FIELDS = ("precision", "truncate_dim", "normalize")


def digest(parts: Iterable[str]) -> str:
    """Return the hash of ``parts``, 32 hexadecimal digits; their borders count.

    Example:
        >>> digest(["ab", "c"]) == digest(["a", "bc"])
        False
    """
    state = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        state.update(len(encoded).to_bytes(8, "little"))
        state.update(encoded)
    return state.hexdigest()[:32]


def store_fingerprint(index: pl.DataFrame) -> str:
    """Return the hash of who has which text under which encoder, from the rows of an index."""
    rows = index.select("kind", "id", "key").iter_rows()
    return digest(part for row in rows for part in row)


def write_description(folder: Path, spec: StoreSpec, index: pl.DataFrame, columns: Columns) -> None:
    """Write ``store.json``."""
    description = {
        **asdict(spec),
        "dim": columns[VECTORS].size(1),
        "fingerprint": store_fingerprint(index),
        "checksum": checksum(columns),
    }
    (folder / STORE_FILE).write_text(json.dumps(description, indent=2) + "\n")


def read_columns(path: Path) -> tuple[Columns, dict[str, str]]:
    """Return what a file of vectors holds, and its metadata.

    Raises:
        StoreError: If it is cut off or no such file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            columns = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise StoreError(f"{path}: not readable as vectors ({error}); {_REMEDY}") from error
    if VECTORS not in columns:
        raise StoreError(f"{path}: holds {sorted(columns)}, but no {VECTORS!r}; {_REMEDY}")
    return columns, metadata


class KnowledgeStore:
    """A finished store, opened for reading.

    Attributes:
        folder: Where it lies.
        fingerprint: Hash of its ids, texts and encoder.
        dim: Width of the vectors.
    """

    def __init__(self, folder: Path, description: dict[str, str | int]) -> None:
        self.folder = folder
        self.description = description
        self.fingerprint = str(description["fingerprint"])
        self.dim = int(description["dim"])

    @classmethod
    def open(cls, folder: Path) -> "KnowledgeStore":
        """Open the store in ``folder``.

        Raises:
            FileNotFoundError: If there is no finished store.
            StoreError: If its description is broken.
        """
        path = folder / STORE_FILE
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no knowledge store here; run `xrec embed` with `output: {folder}`"
            )
        try:
            return cls(folder, json.loads(path.read_text()))
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(f"{path}: not readable ({error!r}); {_REMEDY}") from error

    @cached_property
    def index(self) -> pl.DataFrame:
        """Rows of kind, id, key and the row of its vector.

        Raises:
            StoreError: If the file is broken, or of another store.
        """
        path = self.folder / INDEX_FILE
        try:
            index = pl.read_parquet(path)
            fingerprint = store_fingerprint(index)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise StoreError(f"{path}: not readable ({error}); {_REMEDY}") from error
        if fingerprint != self.fingerprint:
            raise StoreError(
                f"{path}: its rows have the hash {fingerprint}, {STORE_FILE} says "
                f"{self.fingerprint}: it belongs to another store; {_REMEDY}"
            )
        return index

    @cached_property
    def columns(self) -> Columns:
        """What is stored of the vectors, one row a text.

        Raises:
            StoreError: If the file is broken, or of another store.
        """
        path = self.folder / VECTORS_FILE
        columns, _ = read_columns(path)
        num_rows = self.index["row"].n_unique()
        found, expected = tuple(columns[VECTORS].shape), (num_rows, self.dim)
        if found != expected:
            raise StoreError(
                f"{path}: vectors of shape {found}, but {INDEX_FILE} and {STORE_FILE} speak of "
                f"{expected}: it belongs to another store; {_REMEDY}"
            )
        # Stores written before have no such hash.
        known, found_hash = self.description.get("checksum"), checksum(columns)
        if known not in (None, found_hash):
            raise StoreError(
                f"{path}: its vectors have the hash {found_hash}, {STORE_FILE} says {known}: "
                f"they were damaged, or are of another model; {_REMEDY}"
            )
        return columns

    def keys(self) -> dict[str, int]:
        """Return the row of each key."""
        distinct = self.index.select("key", "row").unique()
        return dict(zip(distinct["key"], distinct["row"], strict=True))

    def rows(self, kind: Kind, ids: Sequence[str]) -> Tensor:
        """Return the row of each id's vector, -1 where it has no text, int64, shape ``(ids,)``."""
        known = self.index.filter(pl.col("kind") == kind).select("id", "row")
        wanted = pl.DataFrame({"id": ids}, schema={"id": pl.String})
        found = wanted.join(known, on="id", how="left", maintain_order="left")
        return torch.tensor(found["row"].fill_null(-1).to_numpy(), dtype=torch.int64)

    def vectors(self, kind: Kind, ids: Sequence[str]) -> Tensor:
        """Return the vectors of ``ids``, float32, shape ``(ids, dim)``; zero rows without text."""
        rows = self.rows(kind, ids)
        vectors = torch.zeros(len(rows), self.dim)
        vectors[rows >= 0] = unpack(take(self.columns, rows[rows >= 0]))
        return vectors
