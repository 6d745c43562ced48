"""Copies of input files that polars cannot read where they are."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from xrec_lightning.data.folders import atomic_folder

_LENGTH = 16


def cache_folder() -> Path:
    """Return `$XREC_CACHE`, or `~/.cache/xrec` where it is not set."""
    return Path(os.environ.get("XREC_CACHE") or "~/.cache/xrec").expanduser()


def cached(source: str, state: str, name: str, make: Callable[[Path], object]) -> Path:
    """Return the copy of a source, which exists whole or not at all.

    Args:
        source: What the copy is of.
        state: What changes when the source does; older copies are then removed.
        name: Name of the copy; its ending tells the kind.
        make: Called with the path to write, when there is no copy yet.
    """
    folder = cache_folder() / _digest(source) / _digest(state)
    if not (folder / name).is_file():
        with atomic_folder(folder) as temporary:
            if temporary is not None:
                for old in set(folder.parent.iterdir()) - {temporary}:
                    shutil.rmtree(old)
                make(temporary / name)
    return folder / name


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]
