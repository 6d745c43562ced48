"""What the manifest of a prepared folder says about its data: counts of shards, and their sums."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from xrec_lightning import schema

Counts = dict[str, int]


class Ties(NamedTuple):
    """How much of a log has no order."""

    users: int
    """Users with two events or more."""
    tied_users: int
    """Those whose last event shares the time of the one before."""
    rows: int
    tied_rows: int
    """Interactions that share their time with another one of their user."""


class ShardCounts(NamedTuple):
    """What is counted in one shard. D domains, N items."""

    splits: Counts
    """Interactions by split."""
    users: np.ndarray
    """Users of every domain, shape ``(D,)``."""
    interactions: np.ndarray
    """Interactions of every domain, shape ``(D,)``."""
    train: np.ndarray
    """Training events of every domain, shape ``(D,)``."""
    overlap: np.ndarray
    """Users that each two domains share, shape ``(D, D)``."""
    targets: dict[str, np.ndarray]
    """Targets of every domain by split, shape ``(D,)``."""
    cold_test_targets: int
    with_text: int
    """Interactions whose item has text."""


def count_ties(interactions: pl.DataFrame) -> Ties:
    """Return how many of a shard's interactions and users have ties.

    Args:
        interactions: Interactions with user_index and timestamp, sorted by them.
    """
    users = interactions[schema.USER_INDEX].to_numpy()
    times = interactions[schema.TIMESTAMP].to_numpy()
    if len(users) == 0:
        return Ties(0, 0, 0, 0)
    is_same_user = users[1:] == users[:-1]
    is_tie = is_same_user & (times[1:] == times[:-1])
    is_last = np.append(users[1:] != users[:-1], True)[1:]
    rows = np.append(is_tie, False) | np.append(False, is_tie)
    return Ties(
        users=int((is_same_user & is_last).sum()),
        tied_users=int((is_tie & is_last).sum()),
        rows=len(users),
        tied_rows=int(rows.sum()),
    )


def describe_ties(parts: Sequence[Ties]) -> dict[str, float]:
    """Return how much of the log has no order.

    Returns:
        `last_event_share`: share of the users with two events or more whose last event shares the
        time of the one before; `rows`: interactions that share their time with another one of
        their user; `rows_share`: their share.
    """
    total = Ties(*(sum(values) for values in zip(*parts, strict=True)))
    return {
        "last_event_share": round(total.tied_users / max(total.users, 1), 4),
        "rows": total.tied_rows,
        "rows_share": round(total.tied_rows / max(total.rows, 1), 4),
    }


def count_shard(
    interactions: pl.DataFrame,
    targets: Mapping[str, pl.DataFrame],
    num_domains: int,
    has_text: np.ndarray,
) -> ShardCounts:
    """Return what is counted in one shard.

    Args:
        interactions: All interactions of the shard, with index columns and `split`.
        targets: Its targets by split.
        num_domains: D.
        has_text: Whether an item has text, by item_index, shape ``(N + 1,)``.
    """
    pairs = interactions.select(schema.USER_INDEX, schema.DOMAIN_INDEX).unique()
    is_in = np.zeros((interactions[schema.USER_INDEX].n_unique(), num_domains), dtype=np.float32)
    if len(pairs):
        rows = pairs[schema.USER_INDEX].rank("dense").to_numpy() - 1
        is_in[rows, pairs[schema.DOMAIN_INDEX].to_numpy() - 1] = 1
    train = interactions.filter(pl.col(schema.SPLIT) == schema.TRAIN)
    counts = dict(interactions[schema.SPLIT].value_counts().iter_rows())
    items = interactions[schema.ITEM_INDEX].to_numpy()
    return ShardCounts(
        splits={name: counts.get(name, 0) for name in schema.SPLITS},
        users=is_in.sum(axis=0).astype(np.int64),
        interactions=_by_domain(interactions, num_domains),
        train=_by_domain(train, num_domains),
        overlap=(is_in.T @ is_in).astype(np.int64),
        targets={name: _by_domain(rows, num_domains) for name, rows in targets.items()},
        cold_test_targets=int(targets[schema.TEST][schema.slice_column(schema.COLD)].sum()),
        with_text=int(has_text[items].sum()),
    )


def describe(
    parts: Sequence[ShardCounts], items: pl.DataFrame, users: pl.DataFrame, domains: Sequence[str]
) -> dict[str, Any]:
    """Return the manifest's entries `counts`, `by_domain`, `domain_overlap` and `text_coverage`."""
    splits = {name: sum(part.splits[name] for part in parts) for name in schema.SPLITS}
    targets = {
        name: np.sum([part.targets[name] for part in parts], axis=0)
        for name in (schema.VAL, schema.TEST)
    }
    num_interactions = sum(splits.values())
    without_text = items[schema.TEXT].null_count()
    counts = {
        "users": len(users),
        "items": len(items),
        "hidden_items": int(items[schema.IS_HIDDEN].sum()),
        "items_without_text": without_text,
        "users_without_text": users[schema.TEXT].null_count(),
        "interactions": num_interactions,
        **splits,
        **{f"{name}_targets": int(rows.sum()) for name, rows in targets.items()},
        "cold_test_targets": sum(part.cold_test_targets for part in parts),
    }
    coverage = {
        "items": round(1 - without_text / max(len(items), 1), 4),
        "interactions": round(sum(part.with_text for part in parts) / max(num_interactions, 1), 4),
    }
    overlap = np.sum([part.overlap for part in parts], axis=0)
    return {
        "counts": counts,
        "by_domain": _describe_domains(parts, items, targets, domains),
        "domain_overlap": {
            name: dict(zip(domains, row.tolist(), strict=True))
            for name, row in zip(domains, overlap, strict=True)
        },
        "text_coverage": coverage,
    }


def count_reasons(rejected: pl.LazyFrame) -> Counts:
    """Return the number of rejected rows by reason."""
    counts = rejected.group_by(schema.REASON).len().sort(schema.REASON)
    return dict(counts.collect(engine="streaming").iter_rows())


def _describe_domains(
    parts: Sequence[ShardCounts],
    items: pl.DataFrame,
    targets: Mapping[str, np.ndarray],
    domains: Sequence[str],
) -> dict[str, dict[str, int | float]]:
    """Return users, interactions, training events, items, text coverage and targets of domains."""
    catalog = (
        items.select(pl.col(schema.DOMAINS).alias(schema.DOMAIN), schema.TEXT)
        .explode(schema.DOMAIN)
        .group_by(schema.DOMAIN)
        .agg(pl.len(), pl.col(schema.TEXT).is_not_null().mean().round(4))
    )
    by_name = {name: rest for name, *rest in catalog.iter_rows()}
    table: dict[str, dict[str, int | float]] = {}
    for index, name in enumerate(domains):
        num_items, coverage = by_name.get(name, (0, 0.0))
        table[name] = {
            "users": int(sum(part.users[index] for part in parts)),
            "interactions": int(sum(part.interactions[index] for part in parts)),
            "train": int(sum(part.train[index] for part in parts)),
            "items": num_items,
            "text_coverage": coverage,
            **{f"{split}_targets": int(rows[index]) for split, rows in targets.items()},
        }
    return table


def _by_domain(rows: pl.DataFrame, num_domains: int) -> np.ndarray:
    indices = rows[schema.DOMAIN_INDEX].to_numpy()
    return np.bincount(indices, minlength=num_domains + 1)[1:].astype(np.int64)
