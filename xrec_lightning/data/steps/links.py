"""Ids of two domains that mean the same user or item become one."""

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from xrec_lightning import schema

ID = "id"
CANONICAL = "canonical"
USER_LINK = "user"
ITEM_LINK = "item"
INCOMPLETE = "a linked id is missing"
UNKNOWN_KIND = "a link is of kind `user` or `item`"

_REPLACEMENT = "__canonical"
"""A name that no column of a file has."""


def flag_links(links: pl.DataFrame) -> pl.DataFrame:
    """Return the links with a column `reason`, null where they can be used."""
    is_whole = pl.col(schema.LEFT_ID).is_not_null() & pl.col(schema.RIGHT_ID).is_not_null()
    is_known = pl.col(schema.KIND).is_in([USER_LINK, ITEM_LINK]).fill_null(False)
    return links.with_columns(
        pl.when(~is_whole)
        .then(pl.lit(INCOMPLETE))
        .when(~is_known)
        .then(pl.lit(UNKNOWN_KIND))
        .alias(schema.REASON)
    )


def canonical_ids(links: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Return each linked id and the one that stands for it: the smallest of all that it reaches.

    Chains, cycles and links of an id with itself are fine.

    Args:
        links: Links without a `reason`: left_id, right_id, kind.
        kind: `user` or `item`.

    Returns:
        Columns id and canonical, each id once, sorted by id.
    """
    pairs = links.filter(pl.col(schema.KIND) == kind).select(schema.LEFT_ID, schema.RIGHT_ID)
    ids = pl.concat([pairs[schema.LEFT_ID], pairs[schema.RIGHT_ID]]).unique().sort().alias(ID)
    if ids.is_empty():
        return pl.DataFrame(schema={ID: pl.String, CANONICAL: pl.String})
    ends = [ids.search_sorted(pairs[name]).to_numpy() for name in pairs.columns]
    matrix = coo_array((np.ones(len(pairs), np.bool_), ends), shape=(len(ids), len(ids)))
    _, groups = connected_components(matrix, directed=False)
    rows = pl.DataFrame({ID: ids, "group": groups})
    return rows.select(ID, pl.col(ID).min().over("group").alias(CANONICAL))


def replace_ids(rows: pl.LazyFrame, mapping: pl.DataFrame, column: str) -> pl.LazyFrame:
    """Return the rows with the canonical ids of ``mapping`` in a column; other ids stay.

    Args:
        rows: Any rows, in memory or not.
        mapping: Result of `canonical_ids`.
        column: Column of ids.
    """
    changes = mapping.lazy().filter(pl.col(ID) != pl.col(CANONICAL))
    changes = changes.select(pl.col(ID).alias(column), pl.col(CANONICAL).alias(_REPLACEMENT))
    columns = rows.collect_schema().names()
    joined = rows.join(changes, on=column, how="left", maintain_order="left")
    return joined.with_columns(pl.coalesce(_REPLACEMENT, column).alias(column)).select(columns)


def count_links(mapping: pl.DataFrame, ids: pl.Series) -> dict[str, int]:
    """Return what the manifest says about the links of one kind.

    Args:
        mapping: Result of `canonical_ids`.
        ids: All ids that occur in the data, before they are replaced.

    Returns:
        `linked`: ids in links; `merged`: those that occur and became another id; `absent`: those
        that occur nowhere.
    """
    occurs = mapping[ID].is_in(ids.implode())
    changes = mapping[ID] != mapping[CANONICAL]
    return {
        "linked": len(mapping),
        "merged": int((occurs & changes).sum()),
        "absent": int((~occurs).sum()),
    }
