"""A table as the checks read it: lazily, each row with a number that says where it stands."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.tables import Encoding
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.findings import Finding
from xrec_lightning.data.raw.broken import find_fault
from xrec_lightning.data.raw.contacts import mask_contacts
from xrec_lightning.data.raw.kinds import SourceFile
from xrec_lightning.data.raw.readers import ROW, SOURCE, VALUE

KEY = "_key"
"""File and row of a row in one number, so that the least one is the first."""
MAX_EXAMPLE = 160
"""Longest example, in characters."""

_ROW_BITS = 32


class KeyedTable(NamedTuple):
    """A log, a catalog, or profiles."""

    rows: pl.LazyFrame
    """Under our column names, with `KEY`."""
    files: list[SourceFile]
    columns: list[str]
    """Those that can stand in an example."""
    encoding: Encoding = "utf8"
    """Of text files."""


class Located(NamedTuple):
    """A finding and the `KEY` of its first row, which is read later, together with all others."""

    finding: Finding
    key: int | None


def key_log(
    interactions: pl.LazyFrame, files: Sequence[SourceFile], encoding: Encoding = "utf8"
) -> KeyedTable:
    """Return the interactions of ``files``, which have `source` and `row`."""
    number = pl.col(SOURCE).cast(pl.Enum([file.name for file in files])).to_physical()
    present = interactions.collect_schema().names()
    columns = [name for name in schema.INTERACTION_DTYPES if name in present]
    rows = interactions.with_columns(_key(number, pl.col(ROW)))
    return KeyedTable(rows, list(files), columns, encoding)


def key_rows(
    frames: Sequence[pl.LazyFrame],
    files: Sequence[SourceFile],
    columns: Sequence[str],
    encoding: Encoding = "utf8",
) -> KeyedTable:
    """Return the rows of an item or user table, of which each frame holds one file."""
    numbered = [
        rows.with_row_index(ROW).with_columns(_key(pl.lit(number), pl.col(ROW))).drop(ROW)
        for number, rows in enumerate(frames)
    ]
    rows = pl.concat(numbered, how="diagonal_relaxed")
    return KeyedTable(rows, list(files), list(columns), encoding)


def first_key(keys: pl.Series) -> int | None:
    """Return the least of the keys, None where there is none."""
    return None if keys.is_empty() else int(keys.to_numpy().min())


def collect_all(frames: Sequence[pl.LazyFrame], tables: Sequence[KeyedTable]) -> list[pl.DataFrame]:
    """Return the frames, computed together in a stream.

    Raises:
        InputError: If a row breaks the form of its file; it names the first such file and line.
    """
    try:
        return pl.collect_all(frames, engine="streaming")
    except pl.exceptions.PolarsError as error:
        for table in tables:
            for file in table.files:
                fault = find_fault(file, table.encoding)
                if fault is not None:
                    raise InputError(f"{file.name}: {fault}") from error
        names = ", ".join(file.name for table in tables for file in table.files)
        raise InputError(f"{names}: cannot be read: {error}") from error


def read_examples(table: KeyedTable, located: Sequence[Located]) -> list[Finding]:
    """Return the findings with file, row and example of their first row."""
    keys = sorted({each.key for each in located if each.key is not None})
    if not keys:
        return [each.finding for each in located]
    present = table.rows.collect_schema().names()
    shown = [name for name in (*table.columns, VALUE) if name in present]
    values = {row[KEY]: row for row in _read_rows(table, keys, shown).iter_rows(named=True)}
    return [_with_example(table, each, values) for each in located]


def read_values(table: KeyedTable, keys: Iterable[int], column: str) -> dict[int, str]:
    """Return the values of one column, as text, by the keys of their rows."""
    return dict(_read_rows(table, keys, [column]).iter_rows())


def _read_rows(table: KeyedTable, keys: Iterable[int], columns: Sequence[str]) -> pl.DataFrame:
    wanted = pl.Series(list(keys), dtype=pl.UInt64)
    rows = table.rows.filter(pl.col(KEY).is_in(wanted.implode()))
    return collect_all([rows.select(KEY, pl.col(columns).cast(pl.String))], [table])[0]


def _key(file: pl.Expr, row: pl.Expr) -> pl.Expr:
    return (file.cast(pl.UInt64) * 2**_ROW_BITS + row.cast(pl.UInt64)).alias(KEY)


def _with_example(
    table: KeyedTable, located: Located, values: dict[int, dict[str, str]]
) -> Finding:
    finding, key = located
    if key is None:
        return finding
    row = values[key]
    column = VALUE if finding.column == schema.TIMESTAMP else finding.column
    example = finding.example or row.get(column or "")
    if example is None:
        present = [name for name in table.columns[:4] if row.get(name) is not None]
        example = ", ".join(f"{name}={row[name]}" for name in present)
    if finding.column != schema.TIMESTAMP:
        example = mask_contacts(example)
    return replace(
        finding,
        file=table.files[key >> _ROW_BITS].name,
        row=key % 2**_ROW_BITS,
        example=example if len(example) <= MAX_EXAMPLE else f"{example[: MAX_EXAMPLE - 1]}…",
    )
