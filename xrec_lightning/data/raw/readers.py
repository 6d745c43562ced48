"""The tables of a data set -> lazy frames in our schema."""

from collections.abc import Mapping, Sequence

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.tables import (
    Encoding,
    InteractionsConfig,
    LinksConfig,
    TriplesConfig,
)
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.broken import explain_errors
from xrec_lightning.data.raw.columns import as_number, as_text, match_columns, require_column
from xrec_lightning.data.raw.formats import scan_log, scan_table
from xrec_lightning.data.raw.kinds import SourceFile, ending
from xrec_lightning.data.raw.times import to_seconds

SOURCE = "source"
"""File that a row comes from."""
ROW = "row"
"""Number of the row in its file, from 0, the header not counted."""
VALUE = "value"
"""What the row had where its time should be, as text; null where the time could be read."""

USER = "user"
ITEM = "item"
"""Kinds of links."""

_DISTINCT = (schema.USER_ID, schema.ITEM_ID, schema.DOMAIN)
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
_TRIPLE = (schema.HEAD, schema.RELATION, schema.TAIL)
_LINK = (schema.LEFT_ID, schema.RIGHT_ID)
_NUMBER = "__number"
"""`ROW` while the columns of the file are there, of which none has this name."""
_ATOMIC_COLUMNS = {
    ".kg": {name: f"{name}_id" for name in _TRIPLE},
    ".link": {schema.LEFT_ID: schema.ITEM_ID, schema.RIGHT_ID: "entity_id"},
}
"""What RecBole calls our columns."""


def read_log(
    file: SourceFile,
    config: InteractionsConfig,
    sources: pl.Enum,
    first_row: int = 0,
    has_blanks: bool = False,
) -> pl.LazyFrame:
    """Return the interactions of one file in our schema, nulls where a value cannot be read.

    With `source`, `row`, `value`, and always `domain`; the other optional columns exist when the
    file has them.

    Args:
        file: A file of the log.
        config: The log.
        sources: The names of all of its files.
        first_row: Rows of the files before this one; with `order: file` the time of the first row.
        has_blanks: Whether ids and domains may be empty strings instead of nulls, for callers that
            look at distinct ones anyway.

    Raises:
        InputError: If the file lacks a required or a mapped column, or cannot be read.
    """
    names = {ours: config.columns.get(ours, ours) for ours in schema.INTERACTION_DTYPES}
    rows = scan_log(file, config.encoding, list(names.values()))
    required = [*_REQUIRED, *((schema.TIMESTAMP,) if config.order == "time" else ())]
    theirs = match_columns(file, rows, config.columns, required, list(names))
    dtypes = rows.collect_schema()
    columns = [pl.lit(file.name, sources).alias(SOURCE), _row()]
    for ours in schema.INTERACTION_DTYPES:
        if ours == schema.TIMESTAMP:
            columns += _time_columns(theirs, dtypes, config, first_row)
        elif ours in theirs:
            raw = pl.col(theirs[ours])
            columns.append(_read_column(ours, raw, dtypes[theirs[ours]], has_blanks).alias(ours))
        elif ours == schema.DOMAIN:
            columns.append(pl.lit(None, pl.String).alias(ours))
    return rows.with_row_index(_NUMBER).select(columns).with_columns(_unread_value())


def _read_column(ours: str, raw: pl.Expr, theirs: pl.DataType, has_blanks: bool) -> pl.Expr:
    """Return a column other than the time."""
    dtype = schema.INTERACTION_DTYPES[ours]
    if dtype != pl.String:
        return as_number(raw, dtype)
    is_as_it_is = has_blanks and theirs == pl.String and ours in _DISTINCT
    return raw if is_as_it_is else as_text(raw, theirs)


def read_interactions(files: Sequence[SourceFile], config: InteractionsConfig) -> pl.LazyFrame:
    """Return the interactions of all files, as `read_log` gives those of one.

    Raises:
        InputError: If a file lacks a required or a mapped column, or cannot be read.
    """
    sources = pl.Enum([file.name for file in files])
    frames = [read_log(file, config, sources) for file in files]
    interactions = pl.concat(frames, how="diagonal")
    if config.order == "file":
        # Files follow each other, so the running number is the time.
        return (
            interactions.drop(schema.TIMESTAMP)
            .with_row_index(schema.TIMESTAMP)
            .with_columns(pl.col(schema.TIMESTAMP).cast(pl.Int64))
        )
    return interactions


def read_table(
    files: Sequence[SourceFile],
    mapping: Mapping[str, str],
    id_column: str,
    used: Sequence[str],
    encoding: Encoding = "utf8",
    keeps_all: bool = False,
) -> pl.LazyFrame:
    """Return the rows of an item or user table: id and domain as strings, then what else it has.

    The other columns go by their `raw_name`; one that has different types in two files has the
    type that holds both.

    Args:
        files: The files of the table.
        mapping: Our column names to theirs.
        id_column: Ours: `item_id` or `user_id`.
        used: Further columns, under their names, that must exist.
        encoding: Of text files.
        keeps_all: Whether rows without an id are returned too.

    Raises:
        InputError: If a file lacks a column or cannot be read.
    """
    known = (id_column, schema.DOMAIN) if id_column == schema.ITEM_ID else (id_column,)
    frames = []
    for file in files:
        rows = scan_table(file, encoding, {mapping.get(ours, ours) for ours in known})
        dtypes = rows.collect_schema()
        theirs = match_columns(file, rows, mapping, [id_column], known)
        for column in used:
            require_column(column, file, dtypes.names())
        ids = [as_text(pl.col(name), dtypes[name]).alias(ours) for ours, name in theirs.items()]
        others = [
            pl.col(name).alias(raw_name(name))
            for name in dtypes.names()
            if name not in theirs.values() or name in used
        ]
        frames.append(rows.select(*ids, *others))
    table = pl.concat(frames, how="diagonal_relaxed")
    with explain_errors(files, encoding):
        table.collect_schema()
    return table if keeps_all else table.filter(pl.col(id_column).is_not_null())


def read_triples(files: Sequence[SourceFile], config: TriplesConfig) -> pl.LazyFrame:
    """Return the triples: head, relation, tail, domain, weight, `source` and `row`.

    All but the weight are strings; domain and weight are null where they are not given.

    Raises:
        InputError: If a file lacks a column or cannot be read.
    """
    known = (*_TRIPLE, schema.DOMAIN, schema.WEIGHT)
    return _read_pairs(files, config, _TRIPLE, known)


def read_links(files: Sequence[SourceFile], config: LinksConfig) -> pl.LazyFrame:
    """Return the links: left_id and right_id as strings, kind, `source` and `row`.

    The kind is `user` where it is not given, and `item` in RecBole's `.link` files.

    Raises:
        InputError: If a file lacks a column or cannot be read, or a kind is neither.
    """
    links = _read_pairs(files, config, _LINK, (*_LINK, schema.KIND))
    of_file = pl.Enum([file.name for file in files])
    items = [file.name for file in files if ending(file.path) == ".link"]
    names = pl.Series(items, dtype=of_file).implode()
    default = pl.when(pl.col(SOURCE).is_in(names)).then(pl.lit(ITEM))
    links = links.with_columns(
        pl.coalesce(pl.col(schema.KIND).str.strip_chars(), default, pl.lit(USER))
    )
    first = links.filter(~pl.col(schema.KIND).is_in([USER, ITEM])).head(1).collect()
    if len(first):
        row = first.row(0, named=True)
        raise InputError(
            f"{row[SOURCE]}: row {row[ROW]}: the kind is {row[schema.KIND]!r}; write `{USER}` or "
            f"`{ITEM}`"
        )
    return links


def raw_name(name: str) -> str:
    """Return the name under which a foreign column of an item or user table is kept.

    Example:
        >>> raw_name("brand"), raw_name("title")
        ('brand', 'title_raw')
    """
    return f"{name}_raw" if name in _TABLE_COLUMNS else name


def _read_pairs(
    files: Sequence[SourceFile],
    config: TriplesConfig | LinksConfig,
    required: Sequence[str],
    known: Sequence[str],
) -> pl.LazyFrame:
    """Return the rows of all files, in memory, so that what cannot be read is told now."""
    sources = pl.Enum([file.name for file in files])
    frames = []
    for file in files:
        mapping = _ATOMIC_COLUMNS.get(ending(file.path), {}) | config.columns
        rows = scan_log(file, config.encoding, [mapping.get(ours, ours) for ours in known])
        theirs = match_columns(file, rows, mapping, required, known)
        dtypes = rows.collect_schema()
        columns = []
        for ours in known:
            dtype = pl.Float32() if ours == schema.WEIGHT else pl.String()
            column = pl.lit(None, dtype)
            if ours in theirs:
                raw = pl.col(theirs[ours])
                is_text = dtype == pl.String
                column = as_text(raw, dtypes[theirs[ours]]) if is_text else as_number(raw, dtype)
            columns.append(column.alias(ours))
        source = pl.lit(file.name, sources).alias(SOURCE)
        frames.append(rows.with_row_index(_NUMBER).select(*columns, source, _row()))
    with explain_errors(files, config.encoding):
        return pl.concat(frames).collect(engine="streaming").lazy()


def _row() -> pl.Expr:
    return pl.col(_NUMBER).alias(ROW)


def _time_columns(
    theirs: Mapping[str, str], dtypes: pl.Schema, config: InteractionsConfig, first_row: int
) -> list[pl.Expr]:
    """Return the time and, to be masked where that can be read, what it is read from."""
    if config.order == "file":
        running = pl.col(_NUMBER).cast(pl.Int64) + first_row
        return [running.alias(schema.TIMESTAMP), pl.lit(None, pl.String).alias(VALUE)]
    name = theirs[schema.TIMESTAMP]
    seconds = to_seconds(name, dtypes[name], config.time_unit)
    return [seconds.alias(schema.TIMESTAMP), pl.col(name).alias(VALUE)]


def _unread_value() -> pl.Expr:
    """Return the raw times as text where there is no time; texts of the others cost too much."""

    def keep_unread(columns: Sequence[pl.Series]) -> pl.Series:
        seconds, raw = columns
        unread = (seconds.is_null() & raw.is_not_null()).arg_true()
        texts = pl.Series(VALUE, [None], dtype=pl.String).new_from_index(0, len(raw))
        return texts.scatter(unread, raw.gather(unread).cast(pl.String, strict=False))

    return pl.map_batches(
        [schema.TIMESTAMP, VALUE], keep_unread, return_dtype=pl.String, is_elementwise=True
    ).alias(VALUE)
