"""Items of the catalog and of the log: their texts, their popularity, and the findings of them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.tables import ItemsConfig, UsersConfig
from xrec_lightning.data.findings import Finding, Spec, describe, share_of
from xrec_lightning.data.raw.readers import raw_name
from xrec_lightning.data.report.table import KEY, KeyedTable, Located, first_key
from xrec_lightning.data.text.verbalize import columns_of_text, verbalize

TOP_SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
TEXT_HASH = "_text_hash"

_REPEATED_WARNING = 0.05


_UNUSED: Spec = (
    "info",
    "items_without_events",
    "items of the catalog that the log does not have",
    "nothing: they stay candidates, known by their text only",
)
_TEXTLESS: Spec = (
    "warning",
    "items_without_text",
    "items of the catalog without any text: only their behavior speaks for them",
    "name more columns in `items.text` or `items.template`, or fill them",
)
_DIFFERING: Spec = (
    "warning",
    "item_texts_differ",
    "items with rows whose texts differ; the first filled value of each column counts",
    "keep one row an item, or make different ids of them",
)
_REPEATED: Spec = (
    "info",
    "item_rows_repeated",
    "items with several rows of one domain and the same text",
    "nothing: they become one item",
)


class Popularity(NamedTuple):
    """How events spread over the items of the log."""

    top_shares: dict[str, float]
    """Share of the events of the most popular 1 %, 5 % … of the items, rounded up to whole items.
    """
    gini: float
    """0 where all items have equally many events, towards 1 where few have all."""


def measure_popularity(counts: pl.Series) -> Popularity:
    """Return how the ``counts`` of events spread over the items, one count an item.

    Example:
        >>> measure_popularity(pl.Series([3, 1])).gini
        0.25
    """
    ranked = counts.sort(descending=True).to_numpy().astype(float)
    size, total = len(ranked), float(ranked.sum())
    if not total:
        return Popularity({f"{share:.0%}": 0.0 for share in TOP_SHARES}, 0.0)
    top = {
        f"{share:.0%}": round(float(ranked[: math.ceil(size * share)].sum()) / total, 6)
        for share in TOP_SHARES
    }
    weighted = float(ranked @ np.arange(size, 0, -1))
    return Popularity(top, round((2 * weighted / total - (size + 1)) / size, 6))


def text_columns(config: ItemsConfig | UsersConfig) -> list[str]:
    """Return the columns, under our names, that make the text of an item or a user."""
    return [raw_name(name) for name in columns_of_text(config)]


def add_texts(rows: pl.LazyFrame, columns: Sequence[str]) -> pl.LazyFrame:
    """Return the rows with their text, null where it is empty."""
    return rows.with_columns(verbalize(columns, rows.collect_schema()).alias(schema.TEXT))


def item_frame(table: KeyedTable) -> pl.LazyFrame:
    """Return one row an item of the catalog: `rows`, `domain_rows`, `texts`, hash, first key.

    `domain_rows` are its distinct domains, `texts` its distinct texts.
    """
    has_domain = schema.DOMAIN in table.rows.collect_schema()
    domain = pl.col(schema.DOMAIN) if has_domain else pl.lit(0)
    rows = table.rows.select(
        schema.ITEM_ID,
        domain.hash().alias("_domain"),
        pl.col(schema.TEXT).hash().alias(TEXT_HASH),
        pl.col(schema.TEXT).is_not_null().alias("_has_text"),
        KEY,
    ).with_columns(pl.when("_has_text").then(TEXT_HASH).alias(TEXT_HASH))
    return rows.group_by(schema.ITEM_ID).agg(
        pl.len().alias("rows"),
        pl.col("_domain").n_unique().alias("domain_rows"),
        pl.col(TEXT_HASH).drop_nulls().n_unique().alias("texts"),
        pl.col(TEXT_HASH).min(),
        pl.col(KEY).min(),
    )


def find_items(items: pl.DataFrame, counts: pl.DataFrame) -> list[Located]:
    """Return the findings whose example is a row of the catalog.

    Args:
        items: The collected `item_frame`.
        counts: Rows of the log by item, `item_id` and `len`.
    """
    has_text = pl.col("texts") > 0
    sharing = items.filter(has_text, pl.col(schema.ITEM_ID).len().over(TEXT_HASH) > 1)
    is_repeated = (pl.col("rows") > pl.col("domain_rows")) & (pl.col("texts") <= 1)
    parts = [
        (_UNUSED, schema.ITEM_ID, items.join(counts, on=schema.ITEM_ID, how="anti")),
        (_TEXTLESS, schema.ITEM_ID, items.filter(~has_text)),
        (_sharing_spec(items, sharing), schema.TEXT, sharing),
        (_DIFFERING, schema.ITEM_ID, items.filter(pl.col("texts") > 1)),
        (_REPEATED, schema.ITEM_ID, items.filter(is_repeated)),
    ]
    return [
        Located(describe(spec, len(rows), len(items), column), first_key(rows[KEY]))
        for spec, column, rows in parts
        if len(rows)
    ]


def find_ids_without_item(items: pl.DataFrame, counts: pl.DataFrame) -> list[Located]:
    """Return the finding, located in the log, of ids that the catalog lacks.

    Args:
        items: The collected `item_frame`.
        counts: Rows of the log by item, with the first `KEY` of each.
    """
    unknown = counts.join(items, on=schema.ITEM_ID, how="anti")
    if not len(unknown):
        return []
    events = share_of(int(unknown["len"].sum()), int(counts["len"].sum()))
    finding = Finding(
        severity="warning",
        code="ids_without_item",
        message=f"item ids of the log that the catalog does not have; {events:.1%} of the rows",
        remedy="map the same ids in `items.columns` and `interactions.columns` (zeros in front, "
        "prefixes), or add the items; without a row they have no text",
        count=len(unknown),
        share=share_of(len(unknown), len(counts)),
        column=schema.ITEM_ID,
    )
    return [Located(finding, first_key(unknown[KEY]))]


def _sharing_spec(items: pl.DataFrame, sharing: pl.DataFrame) -> Spec:
    groups = sharing.group_by(TEXT_HASH).len()["len"].to_numpy()
    is_much = len(sharing) > _REPEATED_WARNING * len(items)
    message = (
        f"items whose text other items have too: {len(groups):,} such texts, the most common of "
        f"{groups.max(initial=0):,} items; text cannot tell them apart"
    )
    remedy = "name further columns in `items.text`, such as size, color or brand"
    return ("warning" if is_much else "info", "repeated_texts", message, remedy)
