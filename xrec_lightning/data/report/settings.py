"""Settings of the data YAML that do not fit the data."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.errors import InputError, suggest
from xrec_lightning.data.findings import Finding, Severity
from xrec_lightning.data.raw.anonymize import drop_columns, read_key
from xrec_lightning.data.raw.readers import SOURCE
from xrec_lightning.data.report.catalog import text_columns
from xrec_lightning.data.report.histories import Policy
from xrec_lightning.data.report.rows import Totals
from xrec_lightning.data.steps.filters import first_time, refuse_bad_filters
from xrec_lightning.data.steps.validate import refuse_domain_names


class Conditions(NamedTuple):
    """What `clean.filters` and `clean.since` let through, and what is wrong with them."""

    passes: pl.Expr
    findings: list[Finding]


def read_conditions(config: PrepareConfig, columns: Sequence[str]) -> Conditions:
    """Return whether a row passes the filters of ``config``, null where one is unknown.

    A filter that cannot be used is an error, and everything passes it.
    """
    passes = pl.lit(True)
    findings = []
    for condition in config.clean.filters:
        try:
            refuse_bad_filters([condition], [*columns, SOURCE])
            passes &= pl.sql_expr(condition)
        except InputError as error:
            findings.append(_bad_setting(error, condition))
    try:
        since = first_time(config.clean)
        if since is not None:
            passes &= pl.col(schema.TIMESTAMP) >= since
    except InputError as error:
        findings.append(_bad_setting(error, str(config.clean.since)))
    return Conditions(passes, findings)


def make_policy(
    config: PrepareConfig, columns: Sequence[str], passes: pl.Expr, has_domains: bool
) -> Policy:
    """Return which rows of the log become events whose times are split."""
    counts = passes
    if schema.EVENT in columns and config.events.dislikes:
        event = pl.col(schema.EVENT)
        counts &= ~event.is_in(config.events.dislikes).fill_null(False)
    if schema.RATING in columns and config.events.dislike_below is not None:
        counts &= ~(pl.col(schema.RATING) < config.events.dislike_below).fill_null(False)
    has_times = config.interactions.order == "time"
    return Policy(has_domains, counts, config.clean.repeats, has_times)


def find_unknown_names(
    config: PrepareConfig, events: dict[str, int], domains: Sequence[str]
) -> list[Finding]:
    """Return the names of events and domains in ``config`` that the data do not have.

    Args:
        config: The data set.
        events: Rows by event type.
        domains: All domains of the data.
    """
    named = {"events.weights": config.events.weights, "events.dislikes": config.events.dislikes}
    findings = [
        _unknown("warning", key, name, "event type", events)
        for key, names in named.items()
        for name in names
        if name not in events
    ]
    findings += [
        _unknown("warning", "domains", name, "domain", domains)
        for name in config.domains
        if name not in domains
    ]
    cold = config.split.cold_domain
    if cold is not None and cold not in domains:
        findings.append(_unknown("error", "split.cold_domain", cold, "domain", domains))
    try:
        refuse_domain_names(domains)
    except InputError as error:
        message, _, remedy = str(error).partition("; ")
        findings.append(Finding("error", "domain_reserved", message, remedy, 1, 1.0))
    return findings


def find_anonymize(config: PrepareConfig, profiles: pl.LazyFrame | None) -> list[Finding]:
    """Return why the ids cannot be hashed, or a column of the profiles not be dropped."""
    findings = []
    if config.anonymize.users:
        try:
            read_key(config.anonymize.key_env)
        except InputError as error:
            findings.append(_bad_setting(error, config.anonymize.key_env))
    used = [] if config.users is None else [*text_columns(config.users), *config.users.profile]
    for name in config.anonymize.drop:
        try:
            drop_columns(pl.LazyFrame() if profiles is None else profiles, [name], used)
        except InputError as error:
            findings.append(_bad_setting(error, name))
    return findings


def find_refusals(
    config: PrepareConfig, totals: Totals, users: pl.DataFrame, item_counts: pl.Series
) -> list[Finding]:
    """Return why `prepare` would find no event, no core or no targets.

    Args:
        config: The data set.
        totals: What the rows of the log have together.
        users: Users with `events` and `times`.
        item_counts: Rows of each item.
    """
    accepted = totals.accepted
    if not users["events"].sum():
        why = "all of them are dislikes or fail `clean.filters` and `clean.since`"
        return [_refusal("nothing_left", f"no row is an event: {why}", "change them", accepted)]
    if totals.first_time == totals.last_time:
        remedy = "map another column to `timestamp`, or set `interactions.order: file`"
        return [_refusal("all_times_equal", "all times are equal", remedy, accepted)]
    findings = []
    core = config.clean.k_core
    most = min(users["events"].to_numpy().max(), item_counts.to_numpy().max())
    if most < core:
        message = f"no user or no item has {core} events"
        findings.append(_refusal("empty_core", message, "lower `clean.k_core`", accepted))
    needed = {"leave_one_out": 3, "ratio": 3, "last_n": 2 * config.split.n + 1}
    times = needed.get(config.split.method, 0)
    if users["times"].to_numpy().max() < times:
        message = f"no user has the {times} distinct times that `{config.split.method}` needs"
        remedy = "give more data or finer times, change `split.method`, or keep more rows"
        findings.append(_refusal("too_few_times", message, remedy, len(users)))
    return findings


def _bad_setting(error: InputError, value: str) -> Finding:
    message, _, remedy = str(error).rpartition("; ")
    return Finding("error", "bad_setting", message, remedy, 1, 1.0, example=value)


def _unknown(severity: Severity, key: str, name: str, kind: str, valid: Collection[str]) -> Finding:
    message = f"`{key}` names the {kind} {name!r}, which the data do not have"
    remedy = suggest(name, valid) if valid else f"map a column to `{kind.split()[0]}`"
    code = f"unknown_{kind.split()[0]}"
    return Finding(severity, code, message, f"`{key}`: {remedy}", 1, 1.0, example=name)


def _refusal(code: str, message: str, remedy: str, count: int) -> Finding:
    return Finding("error", code, message, remedy, count, 1.0 if count else 0.0)
