"""Kinds of input files, told by their endings."""

import gzip
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from fsspec.compression import compr  # type: ignore[import-untyped]  # fsspec has no types

from xrec_lightning.data.errors import InputError

COMPRESSED = (".gz", ".zst")
PARQUET = ".parquet"
ARROW = ".arrow"
MOVIELENS = ".dat"
TABLES = {".csv": ",", ".tsv": "\t"}
"""Endings of tables with quotes, and what separates their columns."""
ATOMIC = (".inter", ".item", ".user", ".kg", ".link")
"""RecBole: separated by tabs, no quotes, types in the header."""
LINES = (".jsonl", ".ndjson")
TEXTS = (*TABLES, *ATOMIC, *LINES, MOVIELENS)
KINDS = (PARQUET, ARROW, *TEXTS)

_GZIP_MARK = b"\x1f\x8b"
_ZSTD_MARK = b"\x28\xb5\x2f\xfd"


class SourceFile(NamedTuple):
    """One input file."""

    path: Path
    """What is read: the file itself, or the copy of a remote one."""
    name: str
    """What messages and the `source` column call it."""


def ending(name: str | Path) -> str:
    """Return the ending that tells the kind, the one of a compressed text without its `.gz`.

    Example:
        >>> ending("log.csv.gz"), ending("log.parquet")
        ('.csv', '.parquet')
    """
    path = Path(name)
    stem = Path(path.stem).suffix
    return stem if path.suffix in COMPRESSED and stem in TEXTS else path.suffix


def can_open(file: SourceFile) -> bool:
    """Return whether Python can decompress the file; polars reads zst files without help."""
    return "zstd" in compr or _mark_of(file) != _ZSTD_MARK


def open_bytes(file: SourceFile) -> BinaryIO:
    """Return the open file, decompressed.

    Raises:
        InputError: If it is a zst file and Python cannot decompress these.
    """
    if not can_open(file):
        raise InputError(
            f"{file.name}: a zst file is read as UTF-8 only; give it as gz, or `pip install "
            "zstandard`"
        )
    mark = _mark_of(file)
    if mark.startswith(_GZIP_MARK):
        return cast("BinaryIO", gzip.open(file.path))
    if mark == _ZSTD_MARK:
        return cast("BinaryIO", compr["zstd"](file.path.open("rb"), mode="rb"))
    return file.path.open("rb")


def _mark_of(file: SourceFile) -> bytes:
    with file.path.open("rb") as start:
        return start.read(len(_ZSTD_MARK))
