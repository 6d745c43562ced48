"""One row an item, one row a user: what the catalog and the profiles say of them."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.tables import ItemsConfig, UsersConfig
from xrec_lightning.data.raw.readers import raw_name
from xrec_lightning.data.steps.runs import Bools, Ints
from xrec_lightning.data.text.verbalize import (
    TextStyle,
    fill_template,
    parse_template,
    verbalize,
)

LISTED = "__listed"
"""Domains in which the catalog lists an item; a name that no column of a file has."""


def merge_items(catalog: pl.LazyFrame | None, config: ItemsConfig | None) -> pl.DataFrame:
    """Return one row an item of the catalog, sorted: id, listed domains, title, text, its columns.

    Rows of one id are merged: of each column the first value that is there counts.

    Args:
        catalog: Item table under our names, None where there is none.
        config: What its columns mean.
    """
    if catalog is None or config is None:
        dtypes = dict.fromkeys((schema.ITEM_ID, schema.TITLE, schema.TEXT), pl.String())
        return pl.DataFrame(schema={**dtypes, LISTED: pl.List(pl.String)})
    rows = catalog.collect()
    if schema.DOMAIN in rows.columns:
        listed = rows.group_by(schema.ITEM_ID).agg(
            pl.col(schema.DOMAIN).drop_nulls().unique().sort().alias(LISTED)
        )
        rows = _merge(rows.drop(schema.DOMAIN), schema.ITEM_ID)
        rows = rows.join(listed, on=schema.ITEM_ID, how="left")
    else:
        rows = _merge(rows, schema.ITEM_ID)
        rows = rows.with_columns(pl.lit(None, pl.List(pl.String)).alias(LISTED))
    title = pl.lit(None, pl.String)
    if config.title is not None:
        title = pl.col(raw_name(config.title)).cast(pl.String)
    style = TextStyle(
        max_words=config.max_words,
        tags=[raw_name(name) for name in config.tags],
        tag_separator=config.tag_separator,
        path_separator=config.path_separator,
    )
    content = _text(config.text, config.template, rows, style, "items.template")
    made = {schema.TITLE: title, schema.TEXT: content}
    return _with_text(rows, (schema.ITEM_ID, LISTED), made)


def merge_users(profiles: pl.LazyFrame | None, config: UsersConfig | None) -> pl.DataFrame:
    """Return one row a user of the profiles, sorted: id, text, the profile's columns."""
    if profiles is None or config is None:
        return pl.DataFrame(schema={schema.USER_ID: pl.String, schema.TEXT: pl.String})
    rows = _merge(profiles.collect(), schema.USER_ID)
    style = TextStyle(max_words=config.max_words)
    text = _text(config.text, config.template, rows, style, "users.template")
    return _with_text(rows, (schema.USER_ID,), {schema.TEXT: text})


def join_items(pairs: pl.DataFrame, rows: pl.DataFrame, only_domain: str | None) -> pl.DataFrame:
    """Return one row an item of the log or the catalog, sorted by id, with all its domains.

    A catalog without domains lends its items to the only domain of the log; otherwise items of no
    domain are left out, as they are candidates nowhere.

    Args:
        pairs: item_id and domain of the log, distinct.
        rows: The items of the catalog, from `merge_items`.
        only_domain: The only domain of the log, None where there are several.
    """
    if rows[LISTED].list.len().sum():
        listed = rows.select(schema.ITEM_ID, pl.col(LISTED).alias(schema.DOMAIN))
        listed = listed.explode(schema.DOMAIN)
    else:
        domain = pl.lit(only_domain, pl.String).alias(schema.DOMAIN)
        listed = rows.select(schema.ITEM_ID, domain)
    domains = (
        pl.concat([pairs.select(schema.ITEM_ID, schema.DOMAIN), listed])
        .drop_nulls()
        .group_by(schema.ITEM_ID)
        .agg(pl.col(schema.DOMAIN).unique().sort().alias(schema.DOMAINS))
    )
    return domains.join(rows.drop(LISTED), on=schema.ITEM_ID, how="left").sort(schema.ITEM_ID)


def join_users(user_ids: pl.Series, rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row a user of the log, sorted by id, with the columns of ``rows``."""
    users = user_ids.alias(schema.USER_ID).to_frame()
    return users.join(rows, on=schema.USER_ID, how="left", maintain_order="left")


def add_counts(items: pl.DataFrame, train_counts: Ints, is_hidden: Bools) -> pl.DataFrame:
    """Return the items, our columns first, with their training events and whether they are hidden.

    Args:
        items: Items with their index.
        train_counts: By item index, shape ``(N + 1,)``.
        is_hidden: By item index, shape ``(N + 1,)``.
    """
    ours = (schema.ITEM_INDEX, schema.ITEM_ID, schema.DOMAINS, schema.TITLE, schema.TEXT)
    counted = {
        schema.TRAIN_COUNT: pl.Series(train_counts[1:].astype(np.int32)),
        schema.IS_HIDDEN: pl.Series(is_hidden[1:]),
    }
    return items.select(
        *ours, *(each.alias(name) for name, each in counted.items()), pl.exclude(ours)
    )


def only_value(values: pl.Series) -> str | None:
    """Return the value of a series that has exactly one."""
    return values.item() if len(values) == 1 else None


def _text(
    columns: Sequence[str], template: str | None, rows: pl.DataFrame, style: TextStyle, where: str
) -> pl.Expr:
    if template is None:
        return verbalize([raw_name(name) for name in columns], rows.schema, style)
    return fill_template(parse_template(template, where), rows.schema, style, raw_name)


def _merge(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    if rows[key].is_duplicated().any():
        rows = rows.group_by(key, maintain_order=True).agg(pl.all().drop_nulls().first())
    return rows.sort(key)


def _with_text(rows: pl.DataFrame, keys: tuple[str, ...], made: dict[str, pl.Expr]) -> pl.DataFrame:
    others = [name for name in rows.columns if name not in keys]
    return rows.select(*keys, *(each.alias(name) for name, each in made.items()), *others)
