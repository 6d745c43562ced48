"""The input files -> the log in shards, and the other tables under linked and hashed ids."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.tables import ItemsConfig, UsersConfig
from xrec_lightning.data.engine.contacts import (
    Contacts,
    find_contacts,
    item_columns,
    user_columns,
)
from xrec_lightning.data.engine.engines import Engine
from xrec_lightning.data.engine.linking import count_linked
from xrec_lightning.data.engine.log import ParsedLog, count_shards, open_log, part_log
from xrec_lightning.data.engine.shards import REJECTED_DTYPES
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.anonymize import drop_columns, read_key
from xrec_lightning.data.raw.broken import explain_errors
from xrec_lightning.data.raw.inputs import Inputs, Tables, read_tables
from xrec_lightning.data.raw.kinds import SourceFile
from xrec_lightning.data.raw.readers import ROW, SOURCE, VALUE, raw_name, read_table
from xrec_lightning.data.steps.filters import filter_columns
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
from xrec_lightning.data.text.verbalize import columns_of_text

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
    linked: dict[str, dict[str, int]]
    """How many ids are linked, by kind of link."""
    contacts: dict[str, Contacts]
    """Rows with contacts of people in their texts, by table."""
    rejected: pl.DataFrame
    """Rows of links and triples that cannot be used."""


def open_inputs(
    config: PrepareConfig, inputs: Inputs, folder: Path, engine: Engine, rows_per_shard: int
) -> Opened:
    """Return the log in shards, under ``folder`` if there are many, and the other tables.

    Raises:
        InputError: If a file cannot be read, or lacks a column.
    """
    _refuse_bad_hiding(config)
    tables = read_tables(config, inputs)
    catalog = _collect(_kept_items(config, tables.catalog), inputs.items, config.items)
    profiles = _collect(_kept_profiles(config, tables.profiles), inputs.users, config.users)
    links, bad_links = _read_links(tables, config.anonymize.users)
    triples, bad_triples = _read_triples(tables, links[ITEM_LINK])
    log = open_log(inputs.interactions, config.interactions, links[USER_LINK], links[ITEM_LINK])
    mappings = {kind: each for kind, each in links.items() if each is not None}
    linked = count_linked(mappings, log, catalog, profiles, engine)
    if config.anonymize.users:
        log = log.anonymous(read_key(config.anonymize.key_env), engine)
    num_shards = max(engine.min_shards, count_shards(inputs.interactions, rows_per_shard))
    item_rows, vectors = _read_vectors(config, inputs, links[ITEM_LINK])
    contacts = {
        "items": find_contacts("items", catalog, item_columns(config.items)),
        "users": find_contacts("users", profiles, user_columns(config.users)),
    }
    return Opened(
        log=part_log(log, folder, num_shards, engine),
        items=_merge_items(config, _mapped(catalog, links[ITEM_LINK], schema.ITEM_ID), triples),
        users=merge_users(_mapped(profiles, log.user_ids, schema.USER_ID), config.users),
        item_rows=item_rows,
        vectors=vectors,
        triples=triples,
        linked=linked,
        contacts=contacts,
        rejected=pl.concat([bad_links, bad_triples]),
    )


def _refuse_bad_hiding(config: PrepareConfig) -> None:
    """Raise where ids of users would be shown although they shall be hidden.

    Raises:
        InputError: If the text, the profile or a filter needs the ids, or `anonymize.drop` has
            nothing to drop from.
    """
    if config.users is None:
        if config.anonymize.drop:
            raise InputError(
                f"anonymize.drop: {config.anonymize.drop[0]}: there are no profiles to drop it "
                "from; name their files in `users.path`, or remove the key"
            )
    elif config.anonymize.users:
        ids = config.users.columns.get(schema.USER_ID, schema.USER_ID)
        if ids in _profile_columns(config.users):
            raise InputError(
                f"anonymize.users: the column `{ids}` holds the ids that shall be hidden, and is "
                "used by `users.text`, `users.template` or `users.profile`; remove it there"
            )
    for each in config.clean.filters if config.anonymize.users else ():
        if schema.USER_ID in filter_columns([each]):
            raise InputError(
                f"clean.filters: {each}: `anonymize.users` hides `{schema.USER_ID}`; filter the "
                "files instead"
            )


def _profile_columns(config: UsersConfig) -> list[str]:
    """Return the columns that the config uses, as the files name them."""
    return [*config.text, *config.profile, *columns_of_text(config)]


def _collect(
    rows: pl.LazyFrame | None, files: Sequence[SourceFile], config: ItemsConfig | UsersConfig | None
) -> pl.LazyFrame | None:
    """Return the rows of a table in memory: what follows looks at it several times."""
    if rows is None or config is None:
        return None
    with explain_errors(files, config.encoding):
        return rows.collect().lazy()


def _kept_items(config: PrepareConfig, catalog: pl.LazyFrame | None) -> pl.LazyFrame | None:
    """Return the items without their vectors, which are read for themselves."""
    if catalog is None or config.items is None:
        return None
    used = {*item_columns(config.items), *config.items.tags, config.items.brand}
    vectors = [raw_name(name) for name in config.items.vectors.values() if name not in used]
    return catalog.drop(vectors, strict=False)


def _kept_profiles(config: PrepareConfig, profiles: pl.LazyFrame | None) -> pl.LazyFrame | None:
    """Return the profiles without the columns that hide people."""
    if profiles is None or config.users is None or not config.anonymize.drop:
        return profiles
    return drop_columns(profiles, config.anonymize.drop, _profile_columns(config.users))


def _merge_items(
    config: PrepareConfig, catalog: pl.LazyFrame | None, triples: pl.DataFrame
) -> pl.DataFrame:
    rows = merge_items(catalog, config.items)
    if config.knowledge is None or not config.knowledge.in_text:
        return rows
    relations = config.knowledge.in_text
    refuse_unknown_relations(triples, relations, "knowledge.in_text")
    return add_facts(rows, triples, relations, config.items.max_words if config.items else 0)


def _read_vectors(
    config: PrepareConfig, inputs: Inputs, item_ids: pl.DataFrame | None
) -> tuple[pl.Series, dict[str, RowVectors]]:
    """Return the id in each row of the item files, and the vectors of those rows by modality."""
    items = config.items
    if items is None or not items.vectors:
        return pl.Series(dtype=pl.String), {}
    in_file = inputs.vectors
    columns = {name: raw_name(own) for name, own in items.vectors.items() if name not in in_file}
    # Rows without an id count: row i of a file of vectors belongs to row i of the item files.
    table = read_table(
        inputs.items, items.columns, schema.ITEM_ID, [], items.encoding, keeps_all=True
    )
    table = table if item_ids is None else replace_ids(table, item_ids, schema.ITEM_ID)
    with explain_errors(inputs.items, items.encoding):
        rows = table.select(schema.ITEM_ID, *dict.fromkeys(columns.values())).collect()
    vectors = {
        name: column_vectors(rows, columns[name], f"items.vectors.{name}")
        if name in columns
        else read_vectors_file(in_file[name].path, len(rows))
        for name in items.vectors
    }
    return rows[schema.ITEM_ID], vectors


def _read_links(
    tables: Tables, hides_users: bool
) -> tuple[dict[str, pl.DataFrame | None], pl.DataFrame]:
    """Return the linked ids by kind, None where there are no links, and the rejected rows."""
    if tables.links is None:
        return {USER_LINK: None, ITEM_LINK: None}, pl.DataFrame(schema=REJECTED_DTYPES)
    flagged = flag_links(tables.links.collect())
    usable = flagged.filter(pl.col(schema.REASON).is_null())
    mappings = {kind: canonical_ids(usable, kind) for kind in (USER_LINK, ITEM_LINK)}
    rejected = _rejected(flagged, _LINK)
    if hides_users:  # the value of such a row is the id of a user
        rejected = rejected.with_columns(pl.lit(None, pl.String).alias(VALUE))
    return dict(mappings), rejected


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
