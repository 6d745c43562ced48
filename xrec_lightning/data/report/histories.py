"""Duplicates, ties, rates and domains of users, found in one part of the users at a time."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.report.table import KEY, KeyedTable, collect_all, first_key
from xrec_lightning.data.steps.validate import ONLY_DOMAIN

SHARD_ROWS = 4_000_000
"""Rows of the log in memory at a time, 40 bytes each; the log is read again for every part."""

_HOUR = 3600
_USER, _ITEM, _ROW_HASH = "_user", "_item", "_row_hash"
_COUNTS = "_counts"


class Policy(NamedTuple):
    """Which rows become events whose times are split."""

    has_domains: bool
    counts: pl.Expr
    """Whether a row can be a target: no dislike, and it meets the filters."""
    repeats: str
    """`clean.repeats`."""
    has_times: bool
    """False where the order of the file is the time, so that there are no hours."""


class Histories(NamedTuple):
    """What the users have done."""

    users: pl.DataFrame
    """One row a user: `first_key`, `rows` (without duplicates), `domains`, `domain` (one of them),
    `rate` (most rows in one hour of the clock), `streak` (most hours in a row with an event),
    `events` (after the policy), `times` (distinct ones of them), `tied` (events at the last time).
    """
    overlap: pl.DataFrame
    """Users of two domains, `domain`, `domain_other`, `users`; of a domain with itself: all."""
    duplicates: int
    repeats: int
    """Rows of a user and an item beyond the first, duplicates not counted."""
    tied: int
    """Events that share their time with another one of their user."""
    first_keys: dict[str, int | None]
    """First row that is a `duplicate`, a `repeat`."""


def read_histories(
    log: KeyedTable, policy: Policy, domains: Sequence[str], num_rows: int
) -> Histories:
    """Return what the users of a log of ``num_rows`` rows have done.

    Args:
        log: The log.
        policy: Which rows count as events.
        domains: All domains of the log.
        num_rows: Rows of the log, for the number of parts.
    """
    num_parts = max(1, -(-num_rows // SHARD_ROWS))
    narrow = _narrow(log, policy, domains)
    parts = []
    for part in range(num_parts):
        rows = narrow if num_parts == 1 else narrow.filter(pl.col(_USER) % num_parts == part)
        (table,) = collect_all([rows], [log])
        parts.append(_summarize(table, policy))
    overlap = pl.concat([part.overlap for part in parts])
    keys: dict[str, int | None] = {}
    for name in parts[0].first_keys:
        found = [part.first_keys[name] for part in parts]
        keys[name] = min((key for key in found if key is not None), default=None)
    return Histories(
        users=pl.concat([part.users for part in parts]),
        overlap=overlap.group_by(schema.DOMAIN, f"{schema.DOMAIN}_other")
        .agg(pl.col("users").sum())
        .sort(schema.DOMAIN, f"{schema.DOMAIN}_other"),
        duplicates=sum(part.duplicates for part in parts),
        repeats=sum(part.repeats for part in parts),
        tied=sum(part.tied for part in parts),
        first_keys=keys,
    )


def _narrow(log: KeyedTable, policy: Policy, domains: Sequence[str]) -> pl.LazyFrame:
    """Return the usable rows with hashes of 64 bits instead of strings."""
    needed = [schema.USER_ID, schema.ITEM_ID, schema.TIMESTAMP]
    if policy.has_domains:
        needed.append(schema.DOMAIN)
        domain = pl.col(schema.DOMAIN).cast(pl.Enum(list(domains)))
    else:
        domain = pl.lit(ONLY_DOMAIN, pl.Enum([ONLY_DOMAIN])).alias(schema.DOMAIN)
    return log.rows.filter(pl.all_horizontal(pl.col(needed).is_not_null())).select(
        pl.col(KEY),
        pl.col(schema.USER_ID).hash().alias(_USER),
        pl.col(schema.ITEM_ID).hash().alias(_ITEM),
        pl.struct(log.columns).hash().alias(_ROW_HASH),
        pl.col(schema.TIMESTAMP),
        domain,
        policy.counts.fill_null(False).alias(_COUNTS),
    )


def _summarize(rows: pl.DataFrame, policy: Policy) -> Histories:
    is_first = rows[_ROW_HASH].is_first_distinct()
    first_keys = {"duplicate": first_key(rows.filter(~is_first)[KEY])}
    duplicates = len(rows) - int(is_first.sum())
    rows = rows.filter(is_first).drop(_ROW_HASH) if duplicates else rows.drop(_ROW_HASH)
    is_repeat = ~rows.select(pl.struct(_USER, _ITEM).is_first_distinct()).to_series()
    first_keys["repeat"] = first_key(rows.filter(is_repeat)[KEY])
    users = rows.group_by(_USER).agg(
        pl.col(KEY).min().alias("first_key"),
        pl.len().alias("rows"),
        pl.col(schema.DOMAIN).n_unique().alias("domains"),
        pl.col(schema.DOMAIN).first(),
    )
    moments = _moments(rows, policy)
    for table in (_pace(rows, policy), _endings(moments)):
        users = users.join(table, on=_USER, how="left")
    return Histories(
        users=users.with_columns(pl.col("events", "times", "tied", "rate", "streak").fill_null(0))
        .with_columns(pl.col(schema.DOMAIN).cast(pl.String))
        .drop(_USER),
        overlap=_overlap(rows),
        duplicates=duplicates,
        repeats=int(is_repeat.sum()),
        tied=int(moments["len"].filter(moments["len"] > 1).sum()),
        first_keys=first_keys,
    )


def _moments(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Return the number of events, `len`, at each distinct time of each user."""
    events = rows.filter(_COUNTS).select(_USER, _ITEM, schema.TIMESTAMP)
    if policy.repeats != "keep":
        time = pl.col(schema.TIMESTAMP)
        kept = time.max() if policy.repeats == "last" else time.min()
        events = events.group_by(_USER, _ITEM).agg(kept)
    return events.group_by(_USER, schema.TIMESTAMP).len()


def _endings(moments: pl.DataFrame) -> pl.DataFrame:
    time = pl.col(schema.TIMESTAMP)
    return moments.group_by(_USER).agg(
        pl.col("len").sum().alias("events"),
        pl.len().alias("times"),
        pl.col("len").filter(time == time.max()).first().alias("tied"),
    )


def _pace(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Return the `rate` and the `streak` of each user."""
    if not policy.has_times:
        return rows.select(
            pl.col(_USER).unique(), rate=pl.lit(0, pl.UInt32), streak=pl.lit(0, pl.UInt32)
        )
    hour = (pl.col(schema.TIMESTAMP) // _HOUR).alias("hour")
    hours = rows.group_by(_USER, hour).len().sort(_USER, "hour")
    goes_on = (pl.col(_USER) == pl.col(_USER).shift(1)) & (
        pl.col("hour") == pl.col("hour").shift(1) + 1
    )
    runs = hours.with_columns((~goes_on).fill_null(True).cum_sum().alias("run"))
    lengths = runs.group_by("run").agg(pl.col(_USER).first(), pl.len().alias("streak"))
    streaks = lengths.group_by(_USER).agg(pl.col("streak").max())
    rates = hours.group_by(_USER).agg(pl.col("len").max().alias("rate"))
    return rates.join(streaks, on=_USER, how="left")


def _overlap(rows: pl.DataFrame) -> pl.DataFrame:
    pairs = rows.select(_USER, schema.DOMAIN).unique()
    return (
        pairs.join(pairs, on=_USER, suffix="_other")
        .group_by(schema.DOMAIN, f"{schema.DOMAIN}_other")
        .agg(pl.len().alias("users"))
        .with_columns(pl.col(schema.DOMAIN, f"{schema.DOMAIN}_other").cast(pl.String))
    )
