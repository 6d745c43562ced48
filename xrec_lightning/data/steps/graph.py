"""The fusion graph: edges of users, items and what is known about them, of training events only."""

from collections.abc import Sequence

import polars as pl

from xrec_lightning import schema

LEFT_INDEX = "left_index"
RIGHT_INDEX = "right_index"
COUNT = "count"
TAG = "tag"
BRAND = "brand"
FIELD = "field"
VALUE = "value"


def user_item_edges(train: pl.DataFrame) -> pl.DataFrame:
    """Return how often each user had each kind of event with each item."""
    keys = [schema.USER_INDEX, schema.ITEM_INDEX]
    keys += [schema.EVENT] if schema.EVENT in train.columns else []
    edges = train.group_by(keys).agg(pl.len().cast(pl.Int32).alias(COUNT)).sort(keys)
    if schema.EVENT in edges.columns:
        return edges
    return edges.select(*keys, pl.lit(None, pl.String).alias(schema.EVENT), COUNT)


def item_item_edges(train: pl.DataFrame, window: int) -> pl.DataFrame:
    """Return how often two items are at most ``window`` training events of one user apart.

    Args:
        train: Training events in flat order.
        window: Distance in events.
    """
    pairs = [_pairs_at(train, distance) for distance in range(1, window + 1)]
    empty = pl.LazyFrame(schema={LEFT_INDEX: pl.Int32, RIGHT_INDEX: pl.Int32})
    return (
        pl.concat([empty, *pairs])
        .group_by(LEFT_INDEX, RIGHT_INDEX)
        .agg(pl.len().cast(pl.Int32).alias(COUNT))
        .sort(LEFT_INDEX, RIGHT_INDEX)
        .collect()
    )


def item_domain_edges(items: pl.DataFrame) -> pl.DataFrame:
    """Return the domains of each item."""
    return items.select(schema.ITEM_INDEX, pl.col(schema.DOMAINS).alias(schema.DOMAIN)).explode(
        schema.DOMAIN
    )


def item_tag_edges(items: pl.DataFrame, columns: Sequence[str], separator: str) -> pl.DataFrame:
    """Return the tags of each item, of all tag columns, each once.

    Args:
        items: Items with their index.
        columns: Columns of lists, or of strings that are split at ``separator``.
        separator: What separates the tags of a string.
    """
    empty = pl.DataFrame(schema={schema.ITEM_INDEX: pl.Int32, TAG: pl.String})
    parts = [empty]
    for name in columns:
        column = pl.col(name)
        if not isinstance(items.schema[name], pl.List):
            column = column.cast(pl.String).str.split(separator)
        tags = items.select(schema.ITEM_INDEX, column.cast(pl.List(pl.String)).alias(TAG))
        parts.append(tags.explode(TAG).with_columns(pl.col(TAG).str.strip_chars()))
    edges = pl.concat(parts).filter(pl.col(TAG) != "")
    return edges.unique().sort(schema.ITEM_INDEX, TAG)


def item_brand_edges(items: pl.DataFrame, column: str | None) -> pl.DataFrame:
    """Return the brand of each item that has one."""
    brand = pl.lit(None, pl.String) if column is None else pl.col(column).cast(pl.String)
    edges = items.select(schema.ITEM_INDEX, brand.str.strip_chars().alias(BRAND))
    return edges.filter(pl.col(BRAND) != "")


def user_profile_edges(users: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return the profile values of each user, one row a field."""
    empty = pl.DataFrame(schema={schema.USER_INDEX: pl.Int32, FIELD: pl.String, VALUE: pl.String})
    parts = [
        users.select(
            schema.USER_INDEX,
            pl.lit(name).alias(FIELD),
            pl.col(name).cast(pl.String).str.strip_chars().alias(VALUE),
        )
        for name in columns
    ]
    edges = pl.concat([empty, *parts]).filter(pl.col(VALUE) != "")
    return edges.sort(schema.USER_INDEX, FIELD)


def _pairs_at(train: pl.DataFrame, distance: int) -> pl.LazyFrame:
    rows = train.lazy().select(schema.USER_INDEX, schema.ITEM_INDEX)
    later = rows.select(pl.all().shift(-distance).name.suffix("_later"))
    item, other = pl.col(schema.ITEM_INDEX), pl.col(f"{schema.ITEM_INDEX}_later")
    return (
        pl.concat([rows, later], how="horizontal")
        .filter(pl.col(schema.USER_INDEX) == pl.col(f"{schema.USER_INDEX}_later"), item != other)
        .select(
            pl.min_horizontal(item, other).alias(LEFT_INDEX),
            pl.max_horizontal(item, other).alias(RIGHT_INDEX),
        )
    )
