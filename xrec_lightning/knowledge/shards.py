"""Shards: finished vectors of a store that is not finished yet, so that a killed build goes on."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import save_file

from xrec_lightning.knowledge.formats import VECTORS, Columns, checksum
from xrec_lightning.knowledge.store import StoreError, read_columns

logger = logging.getLogger(__name__)

_KEYS = "keys"
_PLAN = "plan"
_CHECKSUM = "checksum"


class Shard(NamedTuple):
    """Some finished vectors. M vectors."""

    plan: str
    """Hash of the work that they were part of."""
    keys: list[str]
    """Their keys, M of them."""
    columns: Columns
    """What is stored of them."""


class Shards:
    """The shards of one store.

    Args:
        folder: Hidden folder beside the store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, shard: Shard) -> None:
        """Write a shard, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{shard.keys[0]}.partial"
        metadata = {
            _KEYS: " ".join(shard.keys),
            _PLAN: shard.plan,
            _CHECKSUM: checksum(shard.columns),
        }
        save_file(shard.columns, partial, metadata=metadata)
        partial.replace(partial.with_suffix(".safetensors"))

    def read(self) -> Iterator[Shard]:
        """Yield the shards; a broken one is removed with a message, and its texts count as new."""
        for path in sorted(self.folder.glob("*.safetensors")):
            try:
                yield _read(path)
            except StoreError as error:
                logger.warning("%s; thrown away, its texts are encoded again", error)
                path.unlink()

    def remove(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self.folder, ignore_errors=True)


def refuse_lost(missing: Sequence[str], folder: Path) -> None:
    """Raise where vectors are in no shard although they were encoded.

    Raises:
        StoreError: If ``missing`` holds a key.
    """
    if missing:
        raise StoreError(
            f"{folder}: {len(missing)} vectors that were written are lost, the first has the key "
            f"{missing[0]}; check the disk and run again: what is left is kept"
        )


def _read(path: Path) -> Shard:
    columns, metadata = read_columns(path)
    keys = metadata.get(_KEYS, "").split()
    if len(keys) != len(columns[VECTORS]) or metadata.get(_CHECKSUM) != checksum(columns):
        raise StoreError(f"{path}: a damaged shard of a build that was killed")
    return Shard(metadata.get(_PLAN, ""), keys, columns)
