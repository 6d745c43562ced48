"""Addresses of remote files -> local copies."""

import re
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem  # type: ignore[import-untyped]  # fsspec has no types
from fsspec.core import has_magic, url_to_fs  # type: ignore[import-untyped]  # fsspec has no types

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.cache import cache_folder, cached
from xrec_lightning.data.raw.kinds import SourceFile

_MARKS = ("size", "ETag", "Content-MD5", "Last-Modified", "mtime")
"""What fsspec may tell of a file beyond its own key, which for http does not change."""


def is_address(path: str) -> bool:
    """Return whether fsspec reads this path: `s3://bucket/log.csv`, or `zip://log.csv::all.zip`."""
    return re.match(r"\w[\w+.-]*://", path) is not None


def fetch(address: str) -> list[SourceFile]:
    """Return copies of the files that an address or a glob of addresses names, in order.

    A file is fetched again when its size, its time or its tag has changed.

    Raises:
        InputError: If the protocol is not known, its package is missing, the address is a folder,
            or the file cannot be fetched.
        FileNotFoundError: If there is no such file.
    """
    system, path = _open(address)
    # Listings are kept by process, so that a later file would not be seen.
    system.invalidate_cache()
    # A path that exists is no glob, whatever question marks it has.
    if not has_magic(path) or system.exists(path):
        return [_fetch_one(system, path, address)]
    _, chained, outer = address.partition("::")
    return [
        _fetch_one(system, each, system.unstrip_protocol(each) + chained + outer)
        for each in sorted(system.glob(path))
        if system.isfile(each)
    ]


def public_name(address: str) -> str:
    """Return an address without the passwords and signatures that it may hold.

    Example:
        >>> public_name("https://me:secret@host/log.csv?signature=1")
        'https://host/log.csv'
    """
    bare = re.sub(r"://[^/@]*@", "://", address)
    return bare.partition("?")[0] if bare.startswith("http") else bare


def _open(address: str) -> tuple[AbstractFileSystem, str]:
    try:
        return url_to_fs(address)
    except ImportError as error:
        raise InputError(
            f"{public_name(address)}: the package of this protocol is missing: {error}"
        ) from error
    except ValueError as error:
        raise InputError(f"{public_name(address)}: {error}") from error


def _fetch_one(system: AbstractFileSystem, path: str, address: str) -> SourceFile:
    name = public_name(address)
    try:
        info = system.info(path)
        if info["type"] == "directory":
            raise InputError(f"{name}: a folder; name its files by a glob, as {name}/*.parquet")
        copy = cached(
            address,
            _state(system, path, info),
            Path(name.partition("::")[0]).name,
            lambda partial: system.get_file(path, str(partial)),
        )
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{name}: no such file, or it cannot be reached") from error
    except OSError as error:
        raise InputError(
            f"{name}: cannot be copied into {cache_folder()}: {error}; see whether the address can "
            "be reached and the disk has room (`export XREC_CACHE=FOLDER` names another)"
        ) from error
    return SourceFile(copy, name)


def _state(system: AbstractFileSystem, path: str, info: dict[str, Any]) -> str:
    return str([system.ukey(path), *(info.get(mark) for mark in _MARKS)])
