"""What is said where the disk has no room left."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from xrec_lightning.data.errors import InputError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def explain_full_disk(folder: Path) -> Iterator[None]:
    """Turn the error of a write that finds no room into one that names ``folder``.

    Raises:
        InputError: If the block fails because the disk of ``folder`` is full.
    """
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        if not _is_full(error):
            raise
        raise InputError(
            f"{folder}: no space is left on its disk, nothing is written; free some, or name a "
            "folder on another disk under `output`"
        ) from error


def _is_full(error: Exception) -> bool:
    """Return whether a write failed for want of room; polars tells the number in its text."""
    number = error.errno if isinstance(error, OSError) else None
    return number in _FULL or any(f"(os error {each})" in str(error) for each in _FULL)
