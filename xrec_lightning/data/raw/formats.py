"""Files of any kind -> lazy frames under the files' own column names."""

from collections.abc import Collection, Iterator
from typing import cast

import polars as pl
from polars.io.plugins import register_io_source

from xrec_lightning.data.config.tables import Encoding
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.broken import explain_errors
from xrec_lightning.data.raw.encodings import as_utf8
from xrec_lightning.data.raw.kinds import (
    ATOMIC,
    COMPRESSED,
    KINDS,
    LINES,
    MOVIELENS,
    PARQUET,
    TABLES,
    SourceFile,
    ending,
)
from xrec_lightning.data.raw.movielens import scan_movielens

_HEAD = 10_000
"""Lines of a JSON log that tell its keys; keys that are asked for are looked up in all lines."""
_ARROW_FILE_MARK = b"ARROW1"
_ATOMIC_TYPES = {"token": pl.String(), "float": pl.Float64()}


def scan_log(
    file: SourceFile, encoding: Encoding = "utf8", names: Collection[str] = ()
) -> pl.LazyFrame:
    """Return the rows of one file; the columns of text files are strings, so that ids stay as is.

    Args:
        file: A file of a kind in `KINDS`.
        encoding: Of a text file.
        names: Keys of JSON objects that may be absent from the first lines.

    Raises:
        InputError: If the file is of another kind or cannot be read.
    """
    kind = _kind_of(file)
    with explain_errors([file], encoding):
        if kind in LINES:
            rows = _scan_json_log(as_utf8(file, encoding, keep_mark=False), names)
        elif kind in TABLES or kind in ATOMIC:
            copy = as_utf8(file, encoding)
            rows = _rename_atomic(_scan_strings(copy), kind)
        else:
            rows = _scan_typed(file, kind, encoding)
        rows.collect_schema()
    return rows


def scan_table(
    file: SourceFile, encoding: Encoding = "utf8", text_columns: Collection[str] = ()
) -> pl.LazyFrame:
    """Return the rows of one file with columns of their own types, told from all rows.

    Args:
        file: A file of a kind in `KINDS`.
        encoding: Of a text file.
        text_columns: Columns that stay strings, so that ids keep their zeros.

    Raises:
        InputError: If the file is of another kind or cannot be read.
    """
    kind = _kind_of(file)
    with explain_errors([file], encoding):
        if kind in LINES:
            rows = _scan_json_table(as_utf8(file, encoding, keep_mark=False), text_columns)
        elif kind in TABLES:
            rows = _scan_csv_table(as_utf8(file, encoding), text_columns)
        elif kind in ATOMIC:
            rows = _scan_atomic_table(as_utf8(file, encoding))
        else:
            rows = _scan_typed(file, kind, encoding)
        rows.collect_schema()
    return rows


def _kind_of(file: SourceFile) -> str:
    kind = ending(file.path)
    if kind not in KINDS:
        raise InputError(
            f"{file.name}: unknown kind of file; known: {', '.join(KINDS)} (text also with "
            f"{' and '.join(COMPRESSED)})"
        )
    if file.path.stat().st_size == 0:
        raise InputError(f"{file.name}: the file is empty; give another or leave it out")
    return kind


def _scan_typed(file: SourceFile, kind: str, encoding: Encoding) -> pl.LazyFrame:
    if kind == PARQUET:
        return pl.scan_parquet(file.path, glob=False)
    if kind == MOVIELENS:
        return scan_movielens(file, encoding)
    return _scan_arrow(file)


def _scan_arrow(file: SourceFile) -> pl.LazyFrame:
    """Return the rows of an Arrow file, or of a stream, as Hugging Face `datasets` saves them."""
    with file.path.open("rb") as start:
        if start.read(len(_ARROW_FILE_MARK)) == _ARROW_FILE_MARK:
            return pl.scan_ipc(file.path, glob=False)

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        frame = pl.read_ipc_stream(file.path, columns=columns, n_rows=rows)
        frame = frame if columns is None else frame.select(columns)
        yield frame if predicate is None else frame.filter(predicate)

    return register_io_source(read, schema=pl.read_ipc_stream(file.path, n_rows=0).schema)


def _scan_strings(file: SourceFile) -> pl.LazyFrame:
    kind = ending(file.path)
    return pl.scan_csv(
        file.path,
        separator=TABLES.get(kind, "\t"),
        quote_char='"' if kind in TABLES else None,
        infer_schema=False,
        glob=False,
    )


def _scan_csv_table(file: SourceFile, text_columns: Collection[str]) -> pl.LazyFrame:
    return pl.scan_csv(
        file.path,
        separator=TABLES[ending(file.path)],
        infer_schema_length=None,
        schema_overrides=_as_strings(_scan_strings(file).collect_schema().names(), text_columns),
        glob=False,
    )


def _scan_atomic_table(file: SourceFile) -> pl.LazyFrame:
    """Return the rows of a RecBole file, with the types of its header."""
    rows = _scan_strings(file)
    columns = []
    for name in rows.collect_schema().names():
        own, _, kind = name.partition(":")
        column, base = pl.col(name).alias(own), kind.removesuffix("_seq")
        if base not in _ATOMIC_TYPES:
            raise InputError(
                f"{file.name}: column `{name}` has no type of RecBole; the header reads as "
                f"`{own}:token` (or token_seq, float, float_seq)"
            )
        if base != kind:
            tokens = column.str.split(" ").list.filter(pl.element() != "")
            column = tokens.cast(pl.List(_ATOMIC_TYPES[base]), strict=False)
        columns.append(column.cast(_ATOMIC_TYPES[base], strict=False) if base == kind else column)
    return rows.select(columns)


def _rename_atomic(rows: pl.LazyFrame, kind: str) -> pl.LazyFrame:
    if kind not in ATOMIC:
        return rows
    names = rows.collect_schema().names()
    return rows.rename({name: name.partition(":")[0] for name in names})


def _scan_json_log(file: SourceFile, wanted: Collection[str]) -> pl.LazyFrame:
    inferred = pl.scan_ndjson(file.path, infer_schema_length=_HEAD).collect_schema()
    # Nested values of the columns that are asked for stay so, to be refused, not read as text.
    nested = {name: each for name, each in inferred.items() if name in wanted and each.is_nested()}
    head = inferred.names()
    absent = _as_strings(wanted, set(wanted) - set(head))
    if absent:
        occurs = pl.scan_ndjson(file.path, schema=absent).select(pl.all().is_not_null().any())
        found = occurs.collect(engine="streaming").row(0, named=True)
        head += [name for name, is_there in found.items() if is_there]
    return pl.scan_ndjson(file.path, schema=_as_strings(head, head) | nested)


def _scan_json_table(file: SourceFile, text_columns: Collection[str]) -> pl.LazyFrame:
    rows = pl.scan_ndjson(file.path, infer_schema_length=None)
    schema = dict(rows.collect_schema())
    return pl.scan_ndjson(file.path, schema=schema | _as_strings(schema, text_columns))


def _as_strings(names: Collection[str], text_columns: Collection[str]) -> dict[str, pl.DataType]:
    return cast(
        "dict[str, pl.DataType]", {name: pl.String() for name in names if name in text_columns}
    )
