"""Indices of users, items and domains: sorted, from 1, so that the same ids give the same ones."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from xrec_lightning import schema


class Ids(NamedTuple):
    """Sorted distinct ids, as strings; index ``i`` is the ``i - 1``-th."""

    users: pl.Series
    items: pl.Series
    domains: pl.Series


def distinct_ids(rows: pl.DataFrame) -> Ids:
    """Return the ids of ``rows``, nulls and empty ones left out."""
    columns = (schema.USER_ID, schema.ITEM_ID, schema.DOMAIN)
    distinct = (rows[name].unique().drop_nulls() for name in columns)
    return Ids(*(values.filter(values != "").sort() for values in distinct))


def union(parts: Sequence[pl.Series]) -> pl.Series:
    """Return the sorted distinct values of all ``parts``."""
    return parts[0] if len(parts) == 1 else pl.concat(parts).unique().sort()


def index_of(values: pl.Series, ids: pl.Series) -> pl.Series:
    """Return the index of each value in the sorted ``ids``, Int32, null for those not there.

    Example:
        >>> index_of(pl.Series(["b", "x"]), pl.Series(["a", "b"])).to_list()
        [2, None]
    """
    if len(ids) == 0:
        return pl.Series([None] * len(values), dtype=pl.Int32)
    codes = values.cast(pl.Enum(ids), strict=False).to_physical()
    return (codes.cast(pl.Int32) + 1).alias(values.name)


def encode(rows: pl.DataFrame, ids: Ids, first_user: int = 1) -> pl.DataFrame:
    """Return the rows with user_index, item_index and domain_index, Int32, instead of ids.

    Args:
        rows: Rows with user_id, item_id and domain.
        ids: What they are indexed by; the users may be those of one shard.
        first_user: Index of the first of ``ids.users``.
    """
    rest = rows.clone()
    del rows  # so that a column of strings is freed as soon as it is read
    users = index_of(rest.drop_in_place(schema.USER_ID), ids.users) + (first_user - 1)
    items = index_of(rest.drop_in_place(schema.ITEM_ID), ids.items)
    domains = index_of(rest.drop_in_place(schema.DOMAIN), ids.domains)
    return rest.select(
        users.alias(schema.USER_INDEX),
        items.alias(schema.ITEM_INDEX),
        domains.alias(schema.DOMAIN_INDEX),
        pl.all(),
    )


def decode(indices: pl.Series, ids: pl.Series, first: int = 1) -> pl.Series:
    """Return the ids of ``indices``, null where the index is null.

    Args:
        indices: Index column.
        ids: Ids by index.
        first: Index of the first of ``ids``.
    """
    return ids.gather(indices.cast(pl.Int64) - first)


def with_ids(rows: pl.DataFrame, ids: Ids, first_user: int = 1) -> pl.DataFrame:
    """Return the rows with user_id, item_id and domain beside their indices; undoes `encode`."""
    return rows.with_columns(
        decode(rows[schema.USER_INDEX], ids.users, first_user).alias(schema.USER_ID),
        decode(rows[schema.ITEM_INDEX], ids.items).alias(schema.ITEM_ID),
        decode(rows[schema.DOMAIN_INDEX], ids.domains).alias(schema.DOMAIN),
    )


def take(values: np.ndarray, indices: pl.Series) -> pl.Series:
    """Return ``values[index]`` of every index, none null, under the name of ``indices``."""
    return pl.Series(indices.name, values[indices.to_numpy()])


def add_index(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return the rows with their number, from 1, in a first column of that name, Int32."""
    return rows.with_row_index(name, offset=1).with_columns(pl.col(name).cast(pl.Int32))
