"""Users, items, events and texts of each domain, and whom two domains share."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.findings import Finding, Spec, describe, share_of
from xrec_lightning.data.report.histories import Histories

TINY = 10
"""Domains with fewer items rank next to nothing."""

_TINY: Spec = (
    "warning",
    "tiny_domain",
    f"domains with fewer than {TINY} items, where any ranking looks good",
    "rename them to a domain they belong to, or drop them by `clean.filters`",
)
_ALONE: Spec = (
    "info",
    "no_shared_users",
    "domains none of whose users has an event elsewhere: only text connects them",
    "nothing, or `links` of the ids that mean one user",
)
_TEXTLESS: Spec = (
    "warning",
    "domain_without_text",
    "domains without any text: no knowledge moves from or to them",
    "add their items, with text, to the files of `items`",
)


class DomainFacts(NamedTuple):
    """One domain."""

    domain: str
    users: int
    only_users: int
    """Users who have no event in another domain."""
    items: int
    """Of the log and of the catalog."""
    events: int
    text_coverage: float
    """Share of its items with text."""


class Overlap(NamedTuple):
    """Two domains."""

    left: str
    right: str
    users: int
    """Users with events in both."""


def lend_domains(interactions: pl.LazyFrame, catalog: pl.LazyFrame | None) -> pl.LazyFrame:
    """Return the interactions with missing domains taken from the catalog, as `prepare` does.

    An item of several domains lends the first of them by name.
    """
    if catalog is None or schema.DOMAIN not in catalog.collect_schema():
        return interactions
    first = catalog.group_by(schema.ITEM_ID).agg(pl.col(schema.DOMAIN).min().alias("_of_item"))
    joined = interactions.join(first, on=schema.ITEM_ID, how="left", maintain_order="left")
    filled = pl.coalesce(schema.DOMAIN, "_of_item").alias(schema.DOMAIN)
    return joined.with_columns(filled).drop("_of_item")


def count_domains(
    log_items: pl.DataFrame, catalog_items: pl.DataFrame, histories: Histories
) -> list[DomainFacts]:
    """Return the facts of every domain, by name.

    Args:
        log_items: Rows of the log by `domain` and `item_id`: `len`.
        catalog_items: Pairs of `domain` and `item_id` of the catalog; `has_text` of each.
        histories: What the users have done.
    """
    key = [schema.DOMAIN, schema.ITEM_ID]
    # What the catalog knows of an item holds in every domain where the log has it.
    texts = catalog_items.group_by(schema.ITEM_ID).agg(pl.col("has_text").any())
    pairs = pl.concat([log_items.select(key), catalog_items.select(key)]).drop_nulls().unique()
    pairs = pairs.join(texts, on=schema.ITEM_ID, how="left")
    items = pairs.group_by(schema.DOMAIN).agg(
        pl.len().alias("items"), pl.col("has_text").fill_null(False).sum().alias("texts")
    )
    users, overlap = histories.users, histories.overlap
    only = users.filter(pl.col("domains") == 1).group_by(schema.DOMAIN).len("only_users")
    shared = overlap.filter(pl.col(schema.DOMAIN) == pl.col(f"{schema.DOMAIN}_other"))
    events = log_items.group_by(schema.DOMAIN).agg(pl.col("len").sum().alias("events"))
    for table in (only, shared.select(schema.DOMAIN, "users"), events):
        items = items.join(table, on=schema.DOMAIN, how="left")
    facts = items.fill_null(0).sort(schema.DOMAIN).iter_rows(named=True)
    return [
        DomainFacts(
            domain=row[schema.DOMAIN],
            users=row["users"],
            only_users=row["only_users"],
            items=row["items"],
            events=row["events"],
            text_coverage=share_of(row["texts"], row["items"]),
        )
        for row in facts
    ]


def list_overlap(overlap: pl.DataFrame) -> list[Overlap]:
    """Return the users of every pair of domains that shares any, left before right by name."""
    names = pl.col(schema.DOMAIN, f"{schema.DOMAIN}_other")
    pairs = overlap.filter(pl.col(schema.DOMAIN) < pl.col(f"{schema.DOMAIN}_other")).select(
        names, "users"
    )
    return [Overlap(*row) for row in pairs.sort(names).iter_rows()]


def find_domains(domains: Sequence[DomainFacts], overlap: Sequence[Overlap]) -> list[Finding]:
    """Return the findings about domains; the example names the first five of them."""
    shared = {name for pair in overlap for name in (pair.left, pair.right)}
    tiny = [each for each in domains if each.items < TINY]
    alone = [each for each in domains if each.users and each.domain not in shared]
    textless = [each for each in domains if each.items and not each.text_coverage]
    parts = [(_TINY, tiny)]
    if len(domains) > 1:
        parts.append((_ALONE, alone))
    if len(textless) < len(domains):
        parts.append((_TEXTLESS, textless))
    return [
        replace(
            describe(spec, len(part), len(domains), schema.DOMAIN),
            example=", ".join(each.domain for each in part[:5]),
        )
        for spec, part in parts
        if part
    ]
