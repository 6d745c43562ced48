"""Indices of users, items and domains: sorted, from 1, so that the same ids give the same ones."""

from collections.abc import Sequence

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.raw.readers import raw_name
from xrec_lightning.data.text.verbalize import verbalize


def collect_items(
    catalog: pl.LazyFrame | None, interactions: pl.DataFrame, title: str | None, text: Sequence[str]
) -> pl.DataFrame:
    """Return one row an item of the catalog or of the log, sorted by id.

    Columns: item_id, domains (sorted), title, text, and the catalog's own. A catalog without
    domains lends its items to the only domain of the log; otherwise items of no domain are left
    out, as they are candidates nowhere.

    Args:
        catalog: Item table under our names, None where there is none.
        interactions: The log.
        title: Column of the title, as the file names it.
        text: Columns of the text, as the file names them.
    """
    pairs = interactions.select(schema.ITEM_ID, schema.DOMAIN).unique()
    rows = pl.DataFrame(schema={schema.ITEM_ID: pl.String})
    if catalog is not None:
        rows = _merge_rows(catalog, schema.ITEM_ID, title, text)
        listed = catalog.select(schema.ITEM_ID, pl.lit(_only_domain(pairs)).alias(schema.DOMAIN))
        if schema.DOMAIN in catalog.collect_schema():
            listed = catalog.select(schema.ITEM_ID, schema.DOMAIN)
        pairs = pl.concat([pairs, listed.collect()])
    domains = (
        pairs.drop_nulls()
        .group_by(schema.ITEM_ID)
        .agg(pl.col(schema.DOMAIN).unique().sort().alias(schema.DOMAINS))
    )
    items = domains.join(rows, on=schema.ITEM_ID, how="left").sort(schema.ITEM_ID)
    return _with_absent(items, (schema.TITLE, schema.TEXT))


def collect_users(
    profiles: pl.LazyFrame | None, interactions: pl.DataFrame, text: Sequence[str]
) -> pl.DataFrame:
    """Return one row a user of the log, sorted by id: user_id, text, and the profile's columns."""
    users = interactions.select(pl.col(schema.USER_ID).unique()).sort(schema.USER_ID)
    if profiles is not None:
        rows = _merge_rows(profiles, schema.USER_ID, None, text)
        users = users.join(rows, on=schema.USER_ID, how="left").sort(schema.USER_ID)
    return _with_absent(users, (schema.TEXT,))


def domain_names(items: pl.DataFrame) -> list[str]:
    """Return the names of all domains, sorted; domain index ``i`` is the ``i - 1``-th of them."""
    return items.select(pl.col(schema.DOMAINS).explode().unique().sort()).to_series().to_list()


def add_index(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return the rows with their number, from 1, in a first column of that name, Int32."""
    return rows.with_row_index(name, offset=1).with_columns(pl.col(name).cast(pl.Int32))


def encode(
    interactions: pl.DataFrame, users: pl.DataFrame, items: pl.DataFrame, domains: Sequence[str]
) -> pl.DataFrame:
    """Return the interactions with user_index, item_index and domain_index in front, Int32."""
    names = add_index(pl.DataFrame({schema.DOMAIN: list(domains)}), schema.DOMAIN_INDEX)
    encoded = interactions
    for rows, key, index in (
        (users, schema.USER_ID, schema.USER_INDEX),
        (items, schema.ITEM_ID, schema.ITEM_INDEX),
        (names, schema.DOMAIN, schema.DOMAIN_INDEX),
    ):
        encoded = encoded.join(rows.select(key, index), on=key, how="left", maintain_order="left")
    return encoded.select(
        schema.USER_INDEX,
        schema.ITEM_INDEX,
        schema.DOMAIN_INDEX,
        pl.exclude(schema.USER_INDEX, schema.ITEM_INDEX, schema.DOMAIN_INDEX),
    )


def _only_domain(pairs: pl.DataFrame) -> str | None:
    names = pairs[schema.DOMAIN].unique()
    return names.item() if len(names) == 1 else None


def _merge_rows(
    table: pl.LazyFrame, key: str, title: str | None, text: Sequence[str]
) -> pl.DataFrame:
    """Return one row an id: title, text and the table's columns, each the first that is there."""
    rows = table.drop(schema.DOMAIN, strict=False).collect()
    if rows[key].is_duplicated().any():
        rows = rows.group_by(key, maintain_order=True).agg(pl.all().drop_nulls().first())
    made = {schema.TEXT: verbalize([raw_name(name) for name in text], rows.schema)}
    if title is not None:
        made[schema.TITLE] = pl.col(raw_name(title)).cast(pl.String)
    others = [name for name in rows.columns if name != key]
    return rows.select(key, *(each.alias(name) for name, each in made.items()), *others)


def _with_absent(rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    absent = [name for name in names if name not in rows.columns]
    return rows.with_columns(pl.lit(None, pl.String).alias(name) for name in absent)


def count_training(items: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return the items, ours first, with their training events and whether they are hidden."""
    counts = events.group_by(schema.ITEM_INDEX).agg(
        (pl.col(schema.SPLIT) == schema.TRAIN).sum().cast(pl.Int32).alias(schema.TRAIN_COUNT),
        (pl.col(schema.SPLIT) == schema.HIDDEN).any().alias(schema.IS_HIDDEN),
    )
    counted = items.join(counts, on=schema.ITEM_INDEX, how="left", maintain_order="left")
    ours = (
        schema.ITEM_INDEX,
        schema.ITEM_ID,
        schema.DOMAINS,
        schema.TITLE,
        schema.TEXT,
        schema.TRAIN_COUNT,
        schema.IS_HIDDEN,
    )
    return counted.with_columns(
        pl.col(schema.TRAIN_COUNT).fill_null(0), pl.col(schema.IS_HIDDEN).fill_null(False)
    ).select(*ours, pl.exclude(ours))
