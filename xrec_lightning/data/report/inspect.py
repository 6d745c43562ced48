"""The report on the raw tables of a data set, made without the whole log in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.findings import Finding, Spec, describe, share_of, sort_findings
from xrec_lightning.data.raw.contacts import mask_contacts
from xrec_lightning.data.raw.inputs import Inputs, find_inputs, read_tables
from xrec_lightning.data.raw.readers import read_interactions
from xrec_lightning.data.report import activity, catalog, domains, profiles, rows, settings
from xrec_lightning.data.report.facts import ColumnFacts, FastUser, LogFacts, Report, TableFacts
from xrec_lightning.data.report.histories import Histories, read_histories
from xrec_lightning.data.report.linking import Links, link_ids, read_all_links
from xrec_lightning.data.report.sides import HAS_TEXT, Side, read_catalog, read_profiles
from xrec_lightning.data.report.table import (
    KEY,
    KeyedTable,
    Located,
    collect_all,
    key_log,
    read_examples,
    read_values,
)
from xrec_lightning.data.steps.validate import ONLY_DOMAIN

_NO_CATALOG: Spec = (
    "warning",
    "items_without_text",
    "items of the log, as there is no catalog",
    "give their titles and descriptions as `items`",
)


class _Sides(NamedTuple):
    catalog: Side | None
    profiles: Side | None

    def present(self) -> list[Side]:
        return [side for side in self if side is not None]


class _Counted(NamedTuple):
    """What the first scan of the log counts."""

    totals: rows.Totals
    faults: list[Located]
    pairs: pl.DataFrame
    """Rows of the log by `domain` and `item_id`: `len`, first `KEY`."""
    items: pl.DataFrame
    """Rows of the log by `item_id`: `len`, first `KEY`."""
    events: dict[str, int]
    users: pl.DataFrame
    """Users of the log, `user_id`, with their first `KEY`; none without profiles."""


def inspect_data(config: PrepareConfig, now: int, top: int = 10) -> Report:
    """Return the report on the tables of ``config``; what cannot be read is an error in it.

    Args:
        config: The data set.
        now: Seconds since 1970; later times are future.
        top: Users that are listed by rate.
    """
    try:
        # Without the key, which only the name of the folder needs.
        readable = replace(config, anonymize=replace(config.anonymize, users=False))
        return _inspect(config, find_inputs(readable), now, top)
    except (InputError, FileNotFoundError) as error:
        message, separator, remedy = str(error).rpartition("; ")
        parts = (message, remedy) if separator else (remedy, "correct the file or its path")
        return Report([], None, [], [], [Finding("error", "unreadable", *parts, 1, 1.0)])


def _inspect(config: PrepareConfig, inputs: Inputs, now: int, top: int) -> Report:
    tables = read_tables(config, inputs)
    links = read_all_links(config.links)
    interactions = read_interactions(inputs.interactions, config.interactions)
    interactions = domains.lend_domains(interactions, tables.catalog)
    log = key_log(link_ids(interactions, links), inputs.interactions, config.interactions.encoding)
    sides = _read_sides(config, inputs, links)
    counted = _count(config, log, now, with_users=sides.profiles is not None)
    totals = counted.totals
    facts = [_log_table(log, totals), *(side.facts for side in sides.present())]
    findings = [*links.findings, *settings.find_anonymize(config, tables.profiles)]
    findings += [finding for side in sides.present() for finding in side.findings]
    if not totals.accepted:
        findings += read_examples(log, [Located(_refuse_nothing(totals), None), *counted.faults])
        return Report(facts, None, [], [], sort_findings(findings))
    conditions = settings.read_conditions(config, log.columns)
    policy = settings.make_policy(config, log.columns, conditions.passes, totals.has_domains)
    histories = read_histories(log, policy, _names(counted.pairs), totals.rows)
    facts_by_domain = domains.count_domains(
        counted.pairs, _catalog_pairs(sides.catalog, counted.pairs), histories
    )
    overlap = domains.list_overlap(histories.overlap)
    measures = activity.measure_activity(histories.users)
    findings += conditions.findings
    findings += settings.find_unknown_names(
        config, counted.events, [each.domain for each in facts_by_domain]
    )
    findings += settings.find_refusals(config, totals, histories.users, counted.items["len"])
    findings += domains.find_domains(facts_by_domain, overlap)
    located = [*counted.faults, *activity.find_activity(config, histories, measures, totals)]
    findings += _compare(log, sides, counted, located)
    summary = _summarize(counted, histories, measures, _name_fastest(log, histories.users, top))
    return Report(facts, summary, facts_by_domain, overlap, sort_findings(findings))


def _read_sides(config: PrepareConfig, inputs: Inputs, links: Links) -> _Sides:
    catalog = profiles = None
    if config.items is not None:
        catalog = read_catalog(config.items, inputs.items, links)
    if config.users is not None:
        profiles = read_profiles(config.users, inputs.users, links, config.anonymize)
    return _Sides(catalog, profiles)


def _count(config: PrepareConfig, log: KeyedTable, now: int, *, with_users: bool) -> _Counted:
    checks = rows.row_checks(config, log.columns, now)
    usable = log.rows.filter(rows.is_accepted())
    frames = [
        rows.total_frame(log, checks),
        usable.group_by(schema.DOMAIN, schema.ITEM_ID).agg(pl.len(), pl.col(KEY).min()),
    ]
    if schema.EVENT in log.columns:
        frames.append(log.rows.group_by(schema.EVENT).len().sort("len", descending=True))
    if with_users:
        frames.append(profiles.user_frame(log))
    table, pairs, *others = collect_all(frames, [log])
    totals = rows.read_totals(table, has_times=config.interactions.order == "time")
    if totals.has_domains:
        pairs = pairs.drop_nulls(schema.DOMAIN)
    else:
        pairs = pairs.with_columns(pl.lit(ONLY_DOMAIN).alias(schema.DOMAIN))
    return _Counted(
        totals=totals,
        faults=rows.find_faults(table, checks, totals),
        pairs=pairs,
        items=pairs.group_by(schema.ITEM_ID).agg(pl.col("len").sum(), pl.col(KEY).min()),
        events=dict(others[0].drop_nulls().iter_rows()) if schema.EVENT in log.columns else {},
        users=others[-1] if with_users else pl.DataFrame(),
    )


def _compare(
    log: KeyedTable, sides: _Sides, counted: _Counted, located: Sequence[Located]
) -> list[Finding]:
    """Return the findings of the log, ``located`` and others, and those of the other tables."""
    in_log = list(located)
    findings: list[Finding] = []
    if sides.catalog is None:
        spec, size = _NO_CATALOG, len(counted.items)
        findings.append(describe(spec, size, size, schema.TEXT))
    else:
        in_log += catalog.find_ids_without_item(sides.catalog.rows, counted.items)
        found = catalog.find_items(sides.catalog.rows, counted.items)
        findings += read_examples(sides.catalog.table, found)
    if sides.profiles is not None:
        in_log += profiles.find_users_without_profile(sides.profiles.rows, counted.users)
        found = profiles.find_profiles(sides.profiles.rows, counted.users)
        findings += read_examples(sides.profiles.table, found)
    return [*read_examples(log, in_log), *findings]


def _refuse_nothing(totals: rows.Totals) -> Finding:
    if not totals.rows:
        remedy = "give `interactions.path` another file"
        return Finding("error", "no_rows", "the interactions have no rows", remedy, 0, 0.0)
    message = "no row has a user, an item, a time that can be read, and a domain"
    remedy = "map other columns in `interactions.columns`"
    return Finding("error", "nothing_left", message, remedy, totals.rows, 1.0)


def _names(pairs: pl.DataFrame) -> list[str]:
    return pairs[schema.DOMAIN].unique().sort().to_list()


def _catalog_pairs(side: Side | None, log_pairs: pl.DataFrame) -> pl.DataFrame:
    """Return domains and items of the catalog; without domains, those of the log's only one."""
    dtypes = {schema.DOMAIN: pl.String, schema.ITEM_ID: pl.String, HAS_TEXT: pl.Boolean}
    if side is None:
        return pl.DataFrame(schema=dtypes)
    names = _names(log_pairs)
    if schema.DOMAIN in side.table.rows.collect_schema() or len(names) != 1:
        return side.pairs
    return side.pairs.with_columns(pl.lit(names[0]).alias(schema.DOMAIN))


def _log_table(log: KeyedTable, totals: rows.Totals) -> TableFacts:
    columns = [
        ColumnFacts(name, str(schema.INTERACTION_DTYPES[name]), totals.nulls[name])
        for name in log.columns
    ]
    return TableFacts("interactions", [file.name for file in log.files], totals.rows, columns)


def _name_fastest(log: KeyedTable, users: pl.DataFrame, top: int) -> list[FastUser]:
    fastest = activity.fastest_users(users, top)
    names = read_values(log, fastest["first_key"], schema.USER_ID)
    return [FastUser(mask_contacts(names[key]), *others) for key, *others in fastest.iter_rows()]


def _summarize(
    counted: _Counted,
    histories: Histories,
    measures: activity.Activity,
    fastest: list[FastUser],
) -> LogFacts:
    totals, num_users, num_items = counted.totals, len(histories.users), len(counted.items)
    kept = totals.accepted - histories.duplicates - histories.repeats
    return LogFacts(
        users=num_users,
        items=num_items,
        accepted=totals.accepted,
        density=share_of(kept, num_users * num_items),
        first_time=_iso(totals.first_time) if totals.has_times else None,
        last_time=_iso(totals.last_time) if totals.has_times else None,
        time_order=rows.time_order(totals, num_users),
        duplicates=histories.duplicates,
        repeats=histories.repeats,
        tied_events=histories.tied,
        rating_range=totals.rating_range,
        event_types=counted.events,
        one_domain_users=int((histories.users["domains"] == 1).sum()),
        activity=measures,
        popularity=catalog.measure_popularity(counted.items["len"]),
        fastest_users=fastest,
    )


def _iso(seconds: int | None) -> str | None:
    """Return seconds since 1970 in ISO form; as a number where the year has no four digits."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return str(seconds)
