"""The input files -> the log in shards, and the other tables under linked and hashed ids."""

from pathlib import Path
from typing import NamedTuple

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.engine.engines import Engine
from xrec_lightning.data.engine.log import ParsedLog, count_shards, open_log, part_log
from xrec_lightning.data.engine.shards import REJECTED_DTYPES
from xrec_lightning.data.raw.anonymize import drop_columns, read_key
from xrec_lightning.data.raw.inputs import Inputs, Tables, read_tables
from xrec_lightning.data.raw.readers import ROW, SOURCE, VALUE, raw_name
from xrec_lightning.data.steps.links import (
    ITEM_LINK,
    USER_LINK,
    canonical_ids,
    flag_links,
    replace_ids,
)
from xrec_lightning.data.steps.tables import merge_items, merge_users
from xrec_lightning.data.steps.triples import add_facts, flag_triples, refuse_unknown_relations
from xrec_lightning.data.steps.vectors import RowVectors, column_vectors, read_vectors_file

_LINK = (schema.LEFT_ID, schema.KIND, schema.RIGHT_ID)
_TRIPLE = (schema.HEAD, schema.RELATION, schema.TAIL)


class Opened(NamedTuple):
    """What is read before anything is dropped from the log."""

    log: ParsedLog
    items: pl.DataFrame
    """One row an item of the catalog, see `merge_items`."""
    item_rows: pl.Series
    """The id in each row of the item files; empty where no item has vectors."""
    vectors: dict[str, RowVectors]
    """Vectors of the rows of the item files, by modality."""
    users: pl.DataFrame
    """One row a user of the profiles, see `merge_users`."""
    triples: pl.DataFrame
    """Triples that can be used."""
    links: dict[str, pl.DataFrame]
    """Linked ids by kind, see `canonical_ids`."""
    rejected: pl.DataFrame
    """Rows of links and triples that cannot be used."""


def open_inputs(
    config: PrepareConfig, inputs: Inputs, folder: Path, engine: Engine, rows_per_shard: int
) -> Opened:
    """Return the log in shards, under ``folder`` if there are many, and the other tables.

    Raises:
        InputError: If a file cannot be read, or lacks a column.
    """
    tables = read_tables(config, inputs)
    links, bad_links = _read_links(tables)
    triples, bad_triples = _read_triples(tables, links[ITEM_LINK])
    catalog = _mapped(tables.catalog, links[ITEM_LINK], schema.ITEM_ID)
    log = open_log(inputs.interactions, config.interactions, links[USER_LINK], links[ITEM_LINK])
    if config.anonymize.users:
        log = log.anonymous(read_key(config.anonymize.key_env), engine)
    num_shards = max(engine.min_shards, count_shards(inputs.interactions, rows_per_shard))
    item_rows, vectors = _read_vectors(config, inputs, catalog)
    return Opened(
        log=part_log(log, folder, num_shards, engine),
        items=_merge_items(config, catalog, triples),
        users=_merge_users(config, _mapped(tables.profiles, log.user_ids, schema.USER_ID)),
        item_rows=item_rows,
        vectors=vectors,
        triples=triples,
        links={kind: each for kind, each in links.items() if each is not None},
        rejected=pl.concat([bad_links, bad_triples]),
    )


def _merge_items(
    config: PrepareConfig, catalog: pl.LazyFrame | None, triples: pl.DataFrame
) -> pl.DataFrame:
    if catalog is not None and config.items is not None:
        catalog = catalog.drop(
            [raw_name(each) for each in config.items.vectors.values()], strict=False
        )
    rows = merge_items(catalog, config.items)
    if config.knowledge is None or not config.knowledge.in_text:
        return rows
    relations = config.knowledge.in_text
    refuse_unknown_relations(triples, relations, "knowledge.in_text")
    return add_facts(rows, triples, relations, config.items.max_words if config.items else 0)


def _read_vectors(
    config: PrepareConfig, inputs: Inputs, catalog: pl.LazyFrame | None
) -> tuple[pl.Series, dict[str, RowVectors]]:
    """Return the id in each row of the item files, and the vectors of those rows by modality."""
    if catalog is None or config.items is None or not config.items.vectors:
        return pl.Series(dtype=pl.String), {}
    in_file = inputs.vectors
    columns = [raw_name(name) for key, name in config.items.vectors.items() if key not in in_file]
    rows = catalog.select(schema.ITEM_ID, *columns).collect()
    vectors = {
        name: read_vectors_file(in_file[name].path, len(rows))
        if name in in_file
        else column_vectors(rows, raw_name(column), f"items.vectors.{name}")
        for name, column in config.items.vectors.items()
    }
    return rows[schema.ITEM_ID], vectors


def _merge_users(config: PrepareConfig, profiles: pl.LazyFrame | None) -> pl.DataFrame:
    if profiles is not None and config.users is not None and config.anonymize.drop:
        used = [*config.users.text, *config.users.profile]
        profiles = drop_columns(profiles, config.anonymize.drop, used)
    return merge_users(profiles, config.users)


def _read_links(tables: Tables) -> tuple[dict[str, pl.DataFrame | None], pl.DataFrame]:
    """Return the linked ids by kind, None where there are no links, and the rejected rows."""
    if tables.links is None:
        return {USER_LINK: None, ITEM_LINK: None}, pl.DataFrame(schema=REJECTED_DTYPES)
    flagged = flag_links(tables.links.collect())
    usable = flagged.filter(pl.col(schema.REASON).is_null())
    mappings = {kind: canonical_ids(usable, kind) for kind in (USER_LINK, ITEM_LINK)}
    return dict(mappings), _rejected(flagged, _LINK)


def _read_triples(
    tables: Tables, item_ids: pl.DataFrame | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the triples that can be used, and the rejected rows."""
    if tables.triples is None:
        empty = pl.DataFrame(schema=dict.fromkeys((*_TRIPLE, schema.DOMAIN), pl.String))
        rejected = pl.DataFrame(schema=REJECTED_DTYPES)
        return empty.with_columns(pl.lit(1, pl.Float32).alias(schema.WEIGHT)), rejected
    flagged = flag_triples(tables.triples.collect())
    usable = flagged.filter(pl.col(schema.REASON).is_null()).drop(schema.REASON).lazy()
    for column in (schema.HEAD, schema.TAIL):
        usable = usable if item_ids is None else replace_ids(usable, item_ids, column)
    return usable.collect(), _rejected(flagged, _TRIPLE)


def _rejected(flagged: pl.DataFrame, parts: tuple[str, ...]) -> pl.DataFrame:
    """Return the flagged rows in the form of rejected interactions, their parts as the value."""
    values = [pl.col(name).cast(pl.String).fill_null("") for name in parts]
    return flagged.filter(pl.col(schema.REASON).is_not_null()).select(
        pl.col(SOURCE).cast(pl.String),
        ROW,
        schema.REASON,
        pl.lit(None, pl.String).alias(schema.USER_ID),
        pl.lit(None, pl.String).alias(schema.ITEM_ID),
        pl.concat_str(values, separator=" | ").alias(VALUE),
    )


def _mapped(
    rows: pl.LazyFrame | None, ids: pl.DataFrame | None, column: str
) -> pl.LazyFrame | None:
    return rows if rows is None or ids is None else replace_ids(rows, ids, column)
