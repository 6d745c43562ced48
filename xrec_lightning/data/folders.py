"""Folders that exist whole or not at all."""

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from xrec_lightning.data.errors import InputError

_TEMPORARY = ".tmp-"
_REFUSALS = (errno.EEXIST, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path | None]:
    """Yield a temporary sibling that becomes ``folder`` at the end, or None where that exists.

    Builders of one parent folder wait for each other; leftovers of killed ones are removed first.

    Raises:
        InputError: If the parent is no folder, or nothing may be written into it.
    """
    with _explain_refusal(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        # The lock is on the parent itself: it ends with its process and leaves no file.
        lock = os.open(folder.parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in folder.parent.glob(f"{_TEMPORARY}*"):
            shutil.rmtree(leftover)
        if folder.exists():
            yield None
            return
        with _explain_refusal(folder.parent):
            temporary = Path(mkdtemp(prefix=_TEMPORARY, dir=folder.parent))
        temporary.chmod(0o755)
        try:
            yield temporary
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    finally:
        os.close(lock)


@contextmanager
def _explain_refusal(parent: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        raise InputError(
            f"{parent}: nothing can be written into it ({error.strerror}); name another folder, "
            "for prepared data under `output`, for copies of files by `export XREC_CACHE=FOLDER`"
        ) from error


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
