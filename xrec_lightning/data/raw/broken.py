"""Where a text file breaks its own form."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import polars as pl

from xrec_lightning.data.config.tables import Encoding
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.encodings import as_utf8, describe_bytes
from xrec_lightning.data.raw.kinds import (
    ATOMIC,
    LINES,
    TABLES,
    TEXTS,
    SourceFile,
    can_open,
    ending,
    open_bytes,
)

_CUT = (EOFError, zlib.error)
"""What Python raises when compressed data end too early."""
_QUOTES = 'inside of a field in quotes, write each quote twice, as "say ""tea"" now"'


@contextmanager
def explain_errors(files: Sequence[SourceFile], encoding: Encoding = "utf8") -> Iterator[None]:
    """Turn an error of polars over ``files`` into one that names the file and the line.

    Raises:
        InputError: If the block fails for what one of the files holds.
    """
    try:
        yield
    except (pl.exceptions.PolarsError, OSError, *_CUT) as error:
        for file in files:
            fault = find_fault(file, encoding)
            if fault is not None:
                raise InputError(f"{file.name}: {fault}") from error
        if _is_of_system(error):
            raise
        names = ", ".join(file.name for file in files)
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{names}: cannot be read: {reason}; see whether the file is whole, and of the kind "
            "that its ending tells"
        ) from error


def find_fault(file: SourceFile, encoding: Encoding = "utf8") -> str | None:
    """Return the first fault of a text file, with its line and the remedy, None if it has none."""
    kind = ending(file.path)
    if kind not in TEXTS or not can_open(file):
        return None
    try:
        file = as_utf8(file, encoding)
        with open_bytes(file) as raw:
            fault = _find_other_bytes(raw)
        if fault is None and kind in LINES:
            with open_bytes(file) as raw:
                fault = _find_other_json(raw)
        if fault is None and kind in (*TABLES, *ATOMIC):
            with io.TextIOWrapper(open_bytes(file), encoding="utf-8-sig", newline="") as text:
                fault = _find_uneven_row(text, TABLES.get(kind, "\t"), quotes=kind in TABLES)
    except _CUT:
        return "the compressed data end too early; is the copy complete?"
    except gzip.BadGzipFile as error:
        return f"the compressed data are damaged ({error}); copy the file again"
    except InputError as error:
        return str(error).removeprefix(f"{file.name}: ")
    return fault


def _is_of_system(error: Exception) -> bool:
    """Return whether the disk failed, not the file; polars tells the number in its text."""
    if not isinstance(error, OSError) or isinstance(error, gzip.BadGzipFile):
        return False
    return error.errno is not None or "(os error" in str(error)


def _find_other_bytes(raw: BinaryIO) -> str | None:
    for number, line in enumerate(raw, 1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            return describe_bytes(line[error.start : error.start + 1], number)
    return None


def _find_other_json(raw: BinaryIO) -> str | None:
    for number, line in enumerate(raw, 1):
        try:
            value = json.loads(line, parse_constant=_refuse_constant) if line.strip() else {}
        except ValueError as error:
            return f"line {number} is no JSON: {error}; each line holds one object"
        if not isinstance(value, dict):
            return f'line {number} is no JSON object; each line holds one, as {{"user_id": 1}}'
    return None


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number; write null")


def _find_uneven_row(text: Iterable[str], separator: str, *, quotes: bool) -> str | None:
    lines: list[str] = []
    rows = csv.reader(
        _remember(text, lines),
        delimiter=separator,
        quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
        strict=True,
    )
    first, width = 1, 0
    try:
        for row in rows:
            width = width or len(row)
            if len(row) > width:
                return (
                    f"line {first} has {len(row)} fields, the header {width}; put fields that hold "
                    f"{separator!r} in quotes"
                )
            if quotes and sum(line.count('"') for line in lines) % 2:
                return f"line {first} has a quote that does not close; {_QUOTES}"
            first = rows.line_num + 1
            lines.clear()
    except csv.Error as error:
        return f"line {first} has a quote that does not close ({error}); {_QUOTES}"
    return None


def _remember(text: Iterable[str], lines: list[str]) -> Iterator[str]:
    for line in text:
        lines.append(line)
        yield line
