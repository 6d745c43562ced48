"""What the manifest of a prepared folder says about its data."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from xrec_lightning import schema


def count_ties(interactions: pl.DataFrame) -> dict[str, float]:
    """Return how much of the log has no order.

    Returns:
        `last_event_share`: share of the users with two events or more whose last event shares the
        time of the one before; `rows`: interactions that share their time with another one of
        their user; `rows_share`: their share.
    """
    times = interactions.select(schema.USER_ID, schema.TIMESTAMP)
    last = times.group_by(schema.USER_ID).agg(pl.col(schema.TIMESTAMP).top_k(2))
    last = last.filter(pl.col(schema.TIMESTAMP).list.len() == 2)
    tied = last.filter(pl.col(schema.TIMESTAMP).list.n_unique() == 1)
    rows = int(times.is_duplicated().sum())
    return {
        "last_event_share": round(len(tied) / max(len(last), 1), 4),
        "rows": rows,
        "rows_share": round(rows / max(len(times), 1), 4),
    }


def count_all(
    interactions: pl.DataFrame,
    items: pl.DataFrame,
    users: pl.DataFrame,
    targets: Mapping[str, pl.DataFrame],
) -> dict[str, int]:
    """Return the sizes of the data set, events by split, and targets."""
    splits = interactions[schema.SPLIT]
    test_cold = schema.slice_column(schema.COLD)
    return {
        "users": len(users),
        "items": len(items),
        "hidden_items": int(items[schema.IS_HIDDEN].sum()),
        "items_without_text": items[schema.TEXT].null_count(),
        "users_without_text": users[schema.TEXT].null_count(),
        "interactions": len(interactions),
        **{name: int((splits == name).sum()) for name in schema.SPLITS},
        **{f"{name}_targets": len(rows) for name, rows in targets.items()},
        "cold_test_targets": int(targets[schema.TEST][test_cold].sum()),
    }


def count_by_domain(
    interactions: pl.DataFrame,
    items: pl.DataFrame,
    targets: Mapping[str, pl.DataFrame],
    domains: list[str],
) -> dict[str, dict[str, int | float]]:
    """Return users, items, interactions, targets and text coverage of each domain."""
    events = interactions.group_by(schema.DOMAIN).agg(
        pl.col(schema.USER_ID).n_unique().alias("users"),
        pl.len().alias("interactions"),
        (pl.col(schema.SPLIT) == schema.TRAIN).sum().alias(schema.TRAIN),
    )
    catalog = (
        items.select(pl.col(schema.DOMAINS).alias(schema.DOMAIN), schema.TEXT)
        .explode(schema.DOMAIN)
        .group_by(schema.DOMAIN)
        .agg(
            pl.len().alias("items"),
            pl.col(schema.TEXT).is_not_null().mean().round(4).alias("text_coverage"),
        )
    )
    rows = pl.DataFrame({schema.DOMAIN: domains}).with_row_index(schema.DOMAIN_INDEX, offset=1)
    rows = rows.with_columns(pl.col(schema.DOMAIN_INDEX).cast(pl.Int32))
    rows = rows.join(events, on=schema.DOMAIN, how="left").join(
        catalog, on=schema.DOMAIN, how="left"
    )
    for name, each in targets.items():
        counts = each.group_by(schema.DOMAIN_INDEX).agg(pl.len().alias(f"{name}_targets"))
        rows = rows.join(counts, on=schema.DOMAIN_INDEX, how="left")
    rows = rows.sort(schema.DOMAIN_INDEX).drop(schema.DOMAIN_INDEX).fill_null(0)
    return {row.pop(schema.DOMAIN): row for row in rows.iter_rows(named=True)}


def count_overlap(interactions: pl.DataFrame, domains: list[str]) -> dict[str, dict[str, int]]:
    """Return the number of users that each two domains share; a domain with itself: its users."""
    pairs = interactions.select(schema.USER_ID, schema.DOMAIN).unique()
    shared = (
        pairs.join(pairs, on=schema.USER_ID, suffix="_other")
        .group_by(schema.DOMAIN, f"{schema.DOMAIN}_other")
        .len()
    )
    table = {name: dict.fromkeys(domains, 0) for name in domains}
    for left, right, count in shared.iter_rows():
        table[left][right] = count
    return table


def count_reasons(rejected: pl.DataFrame) -> dict[str, int]:
    """Return the number of rejected rows by reason."""
    counts = rejected.group_by(schema.REASON).len().sort(schema.REASON)
    return dict(counts.iter_rows())


def text_coverage(items: pl.DataFrame, interactions: pl.DataFrame) -> dict[str, Any]:
    """Return the share of items, and of interactions, whose item has text."""
    with_text = items.filter(pl.col(schema.TEXT).is_not_null())
    events = interactions.join(with_text, on=schema.ITEM_ID, how="semi")
    return {
        "items": round(len(with_text) / max(len(items), 1), 4),
        "interactions": round(len(events) / max(len(interactions), 1), 4),
    }
