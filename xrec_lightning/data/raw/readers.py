"""Any CSV, TSV, JSONL, parquet or atomic file -> lazy frames in our schema."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from glob import glob
from pathlib import Path

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.tables import InteractionsConfig
from xrec_lightning.data.errors import InputError, suggest
from xrec_lightning.data.raw.times import to_seconds

SOURCE = "source"
"""File that a row comes from."""
ROW = "row"
"""Number of the row in its file, from 0, the header not counted."""
VALUE = "value"
"""What the row had where its time should be, as text."""

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_ATOMIC = (".inter", ".item", ".user")
_LINES = (".jsonl", ".ndjson")
_REQUIRED = (schema.USER_ID, schema.ITEM_ID)
_TABLE_COLUMNS = (
    schema.USER_INDEX,
    schema.USER_ID,
    schema.ITEM_INDEX,
    schema.ITEM_ID,
    schema.DOMAIN,
    schema.DOMAINS,
    schema.TITLE,
    schema.TEXT,
    schema.TRAIN_COUNT,
    schema.IS_HIDDEN,
)
"""Columns of item and user tables that are ours."""
_IDS = (schema.USER_ID, schema.ITEM_ID, schema.DOMAIN, schema.EVENT, schema.SESSION_ID)


def find_files(path: str | Sequence[str]) -> list[Path]:
    """Return the files that one or many paths or globs name, variables expanded, in order.

    Raises:
        InputError: If a variable in a path is not set.
        FileNotFoundError: If a path names no file.
    """
    found: list[Path] = []
    for pattern in [path] if isinstance(path, str) else path:
        expanded = _expand(pattern)
        # A path that exists is no glob, whatever brackets it has.
        names = [expanded] if Path(expanded).exists() else sorted(glob(expanded, recursive=True))  # noqa: PTH207  # Path.glob takes no absolute patterns
        files = [Path(name) for name in names if Path(name).is_file()]
        if not files:
            raise FileNotFoundError(f"{expanded}: no such file (from the path `{pattern}`)")
        found += [each for each in files if each not in found]
    return found


def scan(path: Path, text_columns: Collection[str] | None = None) -> pl.LazyFrame:
    """Return the rows of one file under its own column names.

    Args:
        path: A `.csv`, `.tsv`, `.jsonl`, `.ndjson` or `.parquet` file, or a RecBole `.inter`,
            `.item` or `.user` file; text files may end in `.gz`.
        text_columns: Columns of a text table that stay strings, so that ids keep their zeros; all
            when None.

    Raises:
        InputError: If the file is of another kind or cannot be read.
    """
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    try:
        if suffix == ".parquet":
            rows = pl.scan_parquet(path, glob=False)
        elif suffix in _LINES:
            rows = pl.scan_ndjson(path, infer_schema_length=None)
        elif suffix in _SEPARATORS:
            rows = _scan_table(path, _SEPARATORS[suffix], '"', text_columns)
        elif suffix in _ATOMIC:
            rows = _scan_table(path, "\t", None, text_columns)
            names = rows.collect_schema().names()
            rows = rows.rename({name: _own_name(name) for name in names})
        else:
            kinds = ", ".join([".parquet", *_SEPARATORS, *_LINES, *_ATOMIC])
            raise InputError(f"{path}: unknown kind of file; known: {kinds} (text also with .gz)")
        rows.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    return rows


def read_interactions(files: Sequence[Path], config: InteractionsConfig) -> pl.LazyFrame:
    """Return all interactions in our schema, with `source`, `row` and `value`, nulls where unread.

    Optional columns exist when a file has them; `domain` always exists.

    Raises:
        InputError: If a file lacks a required or a mapped column.
    """
    sources = pl.Enum([str(path) for path in files])
    wanted = [*_REQUIRED, *((schema.TIMESTAMP,) if config.order == "time" else ())]
    frames = []
    for path in files:
        rows = scan(path)
        theirs = _match_columns(
            path, rows, config.columns, wanted, tuple(schema.INTERACTION_DTYPES)
        )
        frames.append(
            _to_schema(path, rows, theirs, config).with_columns(pl.col(SOURCE).cast(sources))
        )
    interactions = pl.concat(frames, how="diagonal")
    if config.order == "file":
        # Files follow each other, so the running number is the time.
        return interactions.with_row_index(schema.TIMESTAMP).with_columns(
            pl.col(schema.TIMESTAMP).cast(pl.Int64)
        )
    return interactions


def read_table(
    files: Sequence[Path], mapping: Mapping[str, str], id_column: str, used: Sequence[str]
) -> pl.LazyFrame:
    """Return all rows of an item or user table: id and domain as strings, then what else it has.

    The other columns go by their `raw_name`.

    Args:
        files: The files of the table.
        mapping: Our column names to theirs.
        id_column: Ours: `item_id` or `user_id`.
        used: Further columns, under their names, that must exist.

    Raises:
        InputError: If a file lacks a column.
    """
    known = (id_column, schema.DOMAIN) if id_column == schema.ITEM_ID else (id_column,)
    frames = []
    for path in files:
        rows = scan(path, text_columns={mapping.get(ours, ours) for ours in known})
        dtypes = rows.collect_schema()
        theirs = _match_columns(path, rows, mapping, [id_column], known)
        for column in used:
            _require(column, path, dtypes.names(), "")
        ids = [_as_text(pl.col(name), dtypes[name]).alias(ours) for ours, name in theirs.items()]
        others = [
            pl.col(name).alias(raw_name(name))
            for name in dtypes.names()
            if name not in theirs.values() or name in used
        ]
        frames.append(rows.select(*ids, *others))
    table = pl.concat(frames, how="diagonal_relaxed")
    return table.filter(pl.col(id_column).is_not_null())


def raw_name(name: str) -> str:
    """Return the name under which a foreign column of an item or user table is kept.

    Example:
        >>> raw_name("brand"), raw_name("title")
        ('brand', 'title_raw')
    """
    return f"{name}_raw" if name in _TABLE_COLUMNS else name


def _expand(pattern: str) -> str:
    for name in re.findall(r"\$\{?(\w+)\}?", pattern):
        if name not in os.environ:
            raise InputError(
                f"{pattern}: the variable {name} is not set; `export {name}=FOLDER`, where FOLDER "
                "holds the data"
            )
    return os.path.expandvars(str(Path(pattern).expanduser()))


def _scan_table(
    path: Path, separator: str, quote: str | None, text_columns: Collection[str] | None
) -> pl.LazyFrame:
    rows = pl.scan_csv(path, separator=separator, quote_char=quote, infer_schema=False, glob=False)
    if text_columns is None:
        return rows
    names = rows.collect_schema().names()
    return pl.scan_csv(
        path,
        separator=separator,
        quote_char=quote,
        infer_schema_length=None,
        schema_overrides={name: pl.String for name in names if _own_name(name) in text_columns},
        glob=False,
    )


def _own_name(name: str) -> str:
    """Return the name of an atomic column, `item_id:token`, without its type."""
    return name.partition(":")[0]


def _match_columns(
    path: Path,
    rows: pl.LazyFrame,
    mapping: Mapping[str, str],
    required: Sequence[str],
    known: Sequence[str],
) -> dict[str, str]:
    """Return our column names with theirs, of those that the file has."""
    names = rows.collect_schema().names()
    theirs = {}
    for ours in known:
        name = mapping.get(ours, ours)
        if ours in mapping or ours in required:
            _require(name, path, names, ours)
        if name in names:
            theirs[ours] = name
    return theirs


def _require(name: str, path: Path, names: Sequence[str], ours: str) -> None:
    if name not in names:
        role = f" (mapped to `{ours}`)" if ours and ours != name else ""
        raise InputError(
            f"{path}: no column `{name}`{role}; {suggest(name, names)} "
            f"The file has: {', '.join(names)}"
        )


def _as_text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return ids as strings; whole floats, as pandas writes ids with gaps, without their `.0`."""
    if dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        column = (
            pl.when(whole == column)
            .then(whole.cast(pl.String))
            .otherwise(column.fill_nan(None).cast(pl.String))
        )
    text = column.cast(pl.String, strict=False)
    return pl.when(text != "").then(text)


def _to_schema(
    path: Path, rows: pl.LazyFrame, theirs: Mapping[str, str], config: InteractionsConfig
) -> pl.LazyFrame:
    dtypes = rows.collect_schema()
    columns = [pl.lit(str(path)).alias(SOURCE), pl.col(ROW)]
    for ours, name in theirs.items():
        if ours in _IDS:
            columns.append(_as_text(pl.col(name), dtypes[name]).alias(ours))
        elif ours == schema.TIMESTAMP and config.order == "time":
            columns.append(to_seconds(name, dtypes[name], config.time_unit).alias(ours))
            columns.append(pl.col(name).cast(pl.String, strict=False).alias(VALUE))
        elif ours != schema.TIMESTAMP:
            dtype = schema.INTERACTION_DTYPES[ours]
            columns.append(pl.col(name).cast(dtype, strict=False).alias(ours))
    absent = [each for each in (schema.DOMAIN, VALUE) if each not in theirs]
    absent = [each for each in absent if each != VALUE or config.order == "file"]
    columns += [pl.lit(None, pl.String).alias(each) for each in absent]
    return rows.with_row_index(ROW).select(columns)
