"""The tables beside the log: the catalog and the profiles, read once."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.steps import AnonymizeConfig
from xrec_lightning.data.config.tables import ItemsConfig, UsersConfig
from xrec_lightning.data.findings import Finding
from xrec_lightning.data.raw.formats import scan_table
from xrec_lightning.data.raw.kinds import SourceFile
from xrec_lightning.data.raw.readers import raw_name, read_table
from xrec_lightning.data.report.catalog import add_texts, item_frame, text_columns
from xrec_lightning.data.report.facts import ColumnFacts, TableFacts
from xrec_lightning.data.report.linking import Links, link_ids
from xrec_lightning.data.report.profiles import find_contacts, find_lost_rows, profile_frame
from xrec_lightning.data.report.table import KeyedTable, collect_all, key_rows

HAS_TEXT = "has_text"


class Side(NamedTuple):
    """A catalog or profiles."""

    table: KeyedTable
    rows: pl.DataFrame
    """The collected `item_frame` or `profile_frame`."""
    pairs: pl.DataFrame
    """Of a catalog: its distinct `domain` and `item_id`, and whether one of them has text."""
    facts: TableFacts
    findings: list[Finding]
    """Contacts of people, and rows without an id."""


def read_catalog(config: ItemsConfig, files: Sequence[SourceFile], links: Links) -> Side:
    """Return the catalog.

    Raises:
        InputError: If a file cannot be read.
    """
    columns = text_columns(config)
    named = [*config.text, *([] if config.title is None else [config.title])]
    frames = [link_ids(_read(config, file, schema.ITEM_ID, named), links) for file in files]
    with_texts = [add_texts(rows, columns) for rows in frames]
    shown = [schema.ITEM_ID, schema.TEXT]
    table = key_rows(with_texts, files, shown, config.encoding)
    scanned = list(dict.fromkeys([*columns, *map(raw_name, named)]))
    pairs = _pairs(table)
    return _collect("items", table, frames, item_frame(table), pairs, scanned)


def read_profiles(
    config: UsersConfig, files: Sequence[SourceFile], links: Links, anonymize: AnonymizeConfig
) -> Side:
    """Return the profiles; contacts are looked for in columns that are kept.

    Raises:
        InputError: If a file cannot be read.
    """
    frames = [link_ids(_read(config, file, schema.USER_ID, config.text), links) for file in files]
    table = key_rows(frames, files, [schema.USER_ID], config.encoding)
    hidden = {schema.USER_ID, *map(raw_name, anonymize.drop)}
    names = [name for name in table.rows.collect_schema().names() if name not in hidden]
    return _collect("users", table, frames, profile_frame(table), pl.LazyFrame(), names)


def _read(
    config: ItemsConfig | UsersConfig, file: SourceFile, id_column: str, used: Sequence[str]
) -> pl.LazyFrame:
    return read_table([file], config.columns, id_column, used, config.encoding)


def _pairs(table: KeyedTable) -> pl.LazyFrame:
    has_domain = schema.DOMAIN in table.rows.collect_schema()
    domain = pl.col(schema.DOMAIN) if has_domain else pl.lit(None, pl.String).alias(schema.DOMAIN)
    rows = table.rows.select(
        domain, schema.ITEM_ID, pl.col(schema.TEXT).is_not_null().alias(HAS_TEXT)
    )
    return rows.group_by(schema.DOMAIN, schema.ITEM_ID).agg(pl.col(HAS_TEXT).any())


def _collect(
    name: str,
    table: KeyedTable,
    frames: Sequence[pl.LazyFrame],
    grouped: pl.LazyFrame,
    pairs: pl.LazyFrame,
    scanned: Sequence[str],
) -> Side:
    raw = [scan_table(file, table.encoding).select(pl.len()) for file in table.files]
    kept = [rows.select(pl.len()) for rows in frames]
    everything = pl.concat(frames, how="diagonal_relaxed")
    nulls = everything.select(pl.all().null_count())
    counts = collect_all([grouped, pairs, nulls, *raw, *kept], [table])
    rows, pair_rows, null_row, *lengths = counts
    sizes = [int(each.item()) for each in lengths]
    raw_sizes, kept_sizes = sizes[: len(raw)], sizes[len(raw) :]
    dtypes = everything.collect_schema()
    null_counts = null_row.row(0, named=True)
    facts = TableFacts(
        table=name,
        files=[file.name for file in table.files],
        rows=sum(raw_sizes),
        columns=[
            ColumnFacts(_own_name(column), str(dtype), null_counts[column])
            for column, dtype in dtypes.items()
        ],
    )
    id_column = dtypes.names()[0]
    findings = [
        *find_lost_rows(table.files, raw_sizes, kept_sizes, id_column),
        *find_contacts(_texts(frames, scanned), table.files, sum(kept_sizes)),
    ]
    return Side(table, rows, pair_rows, facts, findings)


def _texts(frames: Sequence[pl.LazyFrame], columns: Sequence[str]) -> list[pl.LazyFrame]:
    """Return those columns of each frame that it has, under the names of the file."""
    texts = []
    for rows in frames:
        present = rows.collect_schema().names()
        texts.append(
            rows.select(pl.col(name).alias(_own_name(name)) for name in columns if name in present)
        )
    return texts


def _own_name(column: str) -> str:
    """Return the name that a column has in its file, of the one under which it is kept."""
    own = column.removesuffix("_raw")
    return own if raw_name(own) == column else column
