"""Text files in any encoding -> UTF-8, which is all that polars reads."""

import codecs
import io
import shutil
from pathlib import Path

from xrec_lightning.data.config.tables import Encoding
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.cache import cache_folder, cached
from xrec_lightning.data.raw.kinds import SourceFile, can_open, ending, open_bytes

_CHUNK = 1 << 20
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def as_utf8(file: SourceFile, encoding: Encoding, keep_mark: bool = True) -> SourceFile:
    """Return the file, or its copy in UTF-8 where it has another encoding.

    Args:
        file: A text file.
        encoding: Its encoding.
        keep_mark: Whether what reads the file can do with a byte order mark.

    Raises:
        InputError: If the file is not in that encoding; of UTF-8 only the start is looked at.
    """
    if encoding != "utf8":
        return _copy(file, encoding)
    if not can_open(file):
        return file
    with open_bytes(file) as raw:
        start = raw.read(_CHUNK)
    if start.startswith(_UTF16_MARKS):
        raise InputError(
            f"{file.name}: it is in UTF-16; save it in UTF-8, as by `iconv -f utf-16 -t utf-8`"
        )
    _refuse_other_bytes(file, start)
    if start.startswith(codecs.BOM_UTF8) and not keep_mark:
        return _copy(file, "utf-8-sig")
    return file


def is_utf8(file: SourceFile) -> bool:
    """Return whether the whole file is in UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_bytes(file) as raw:
        try:
            while chunk := raw.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def describe_bytes(bad: bytes, line: int) -> str:
    """Return what to say of bytes that are not UTF-8."""
    return (
        f"line {line} has the byte 0x{bad.hex()}, which is not UTF-8; name the file's encoding in "
        "the YAML, as `encoding: latin1`"
    )


def _refuse_other_bytes(file: SourceFile, start: bytes) -> None:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError as error:
        bad = start[error.start : error.start + 1]
        line = start.count(b"\n", 0, error.start) + 1
        raise InputError(f"{file.name}: {describe_bytes(bad, line)}") from error


def _copy(file: SourceFile, encoding: str) -> SourceFile:
    state = file.path.stat()
    try:
        copy = cached(
            f"{file.path.resolve()} {encoding}",
            f"{state.st_size} {state.st_mtime_ns}",
            f"{file.path.stem.removesuffix(ending(file.path))}{ending(file.path)}",
            lambda partial: _transcode(file, encoding, partial),
        )
    except UnicodeDecodeError as error:
        bad = error.object[error.start : error.start + 1].hex()
        raise InputError(
            f"{file.name}: the byte 0x{bad} is not {encoding}; name the file's own encoding in the "
            "YAML (`encoding`)"
        ) from error
    except OSError as error:
        raise InputError(
            f"{file.name}: its copy in UTF-8 cannot be written into {cache_folder()}: {error}; "
            "make room, or `export XREC_CACHE=FOLDER` names another folder"
        ) from error
    return SourceFile(copy, file.name)


def _transcode(file: SourceFile, encoding: str, path: Path) -> None:
    with (
        io.TextIOWrapper(open_bytes(file), encoding=encoding, newline="") as source,
        path.open("w", encoding="utf-8", newline="") as copy,
    ):
        shutil.copyfileobj(source, copy, _CHUNK)
