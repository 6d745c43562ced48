"""The store of knowledge vectors: one row a distinct text, found by kind and id.

A store is a folder of ``vectors.safetensors`` (tensor ``vectors``, texts x width),
``index.parquet`` (kind, id, key, row) and ``store.json`` (what made the vectors). Rows are sorted
by key, the hash of the text and of all that decides its vector.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import polars as pl
import torch
from safetensors import safe_open
from torch import Tensor

Kind = Literal["item", "user", "domain"]
KINDS: tuple[Kind, ...] = ("item", "user", "domain")

VECTORS_FILE = "vectors.safetensors"
INDEX_FILE = "index.parquet"
STORE_FILE = "store.json"
VECTORS = "vectors"
INDEX_SCHEMA = {"kind": pl.String, "id": pl.String, "key": pl.String, "row": pl.Int64}


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
    """Number format of the vectors: ``float32`` or ``float16``."""

    def key(self, text: str) -> str:
        """Return the key of ``text``: equal keys mean equal vectors."""
        decisive = (self.weights, self.pooling, str(self.max_tokens), self.dtype, text)
        return digest(decisive)


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


def write_description(folder: Path, spec: StoreSpec, index: pl.DataFrame, dim: int) -> None:
    """Write ``store.json``."""
    description = {**asdict(spec), "dim": dim, "fingerprint": store_fingerprint(index)}
    (folder / STORE_FILE).write_text(json.dumps(description, indent=2) + "\n")


class KnowledgeStore:
    """A finished store, opened for reading; vectors are memory-mapped.

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
        """
        path = folder / STORE_FILE
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no knowledge store here; run `xrec embed` with `output: {folder}`"
            )
        return cls(folder, json.loads(path.read_text()))

    @cached_property
    def index(self) -> pl.DataFrame:
        """Rows of kind, id, key and the row of its vector."""
        return pl.read_parquet(self.folder / INDEX_FILE)

    @cached_property
    def matrix(self) -> Tensor:
        """All vectors, shape ``(texts, dim)``, in the stored number format."""
        with safe_open(self.folder / VECTORS_FILE, framework="pt") as file:
            return file.get_tensor(VECTORS)

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
        vectors[rows >= 0] = self.matrix[rows[rows >= 0]].float()
        return vectors
