"""What a report holds, and the same as JSON."""

import json
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from typing import Any, NamedTuple

from xrec_lightning.data.findings import SEVERITIES, Finding
from xrec_lightning.data.report.activity import Activity
from xrec_lightning.data.report.catalog import Popularity
from xrec_lightning.data.report.domains import DomainFacts, Overlap

REPORT_VERSION = 1
"""Rises when a key of the JSON goes or changes its meaning."""


class ColumnFacts(NamedTuple):
    """One column of a table."""

    name: str
    dtype: str
    nulls: int


class TableFacts(NamedTuple):
    """One table of the data YAML."""

    table: str
    """Its key: `interactions`, `items`, `users`."""
    files: list[str]
    rows: int
    columns: list[ColumnFacts]
    """Under our names."""


class FastUser(NamedTuple):
    """A user with many rows in one hour of the clock."""

    user_id: str
    rate: int
    """Most rows in one hour of the clock."""
    streak: int
    """Most hours in a row with a row."""
    rows: int


class LogFacts(NamedTuple):
    """The log as a whole."""

    users: int
    items: int
    accepted: int
    """Rows with user, item, time and domain."""
    density: float
    """Share of all pairs of user and item that occur."""
    first_time: str | None
    """ISO, UTC; None where the order of the file is the time."""
    last_time: str | None
    time_order: str
    """What the rows are sorted by: `time`, `user, time`, `user` or `nothing`."""
    duplicates: int
    repeats: int
    tied_events: int
    rating_range: tuple[float, float] | None
    event_types: dict[str, int]
    one_domain_users: int
    activity: Activity
    popularity: Popularity
    fastest_users: list[FastUser]


class Report(NamedTuple):
    """What is in the tables, and what is wrong with them."""

    tables: list[TableFacts]
    log: LogFacts | None
    """None where the log cannot be read or has no usable row."""
    domains: list[DomainFacts]
    overlap: list[Overlap]
    findings: list[Finding]
    """Errors first."""


def count_severities(findings: Iterable[Finding]) -> dict[str, int]:
    """Return the number of findings of each severity."""
    named = [finding.severity for finding in findings]
    return {name: named.count(name) for name in SEVERITIES}


def report_json(report: Report, config: str) -> str:
    """Return the report as JSON: version, config, counts, and the fields of `Report`."""
    content = {
        "version": REPORT_VERSION,
        "config": config,
        "counts": count_severities(report.findings),
        **_plain(report),
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """Return tuples with names and dataclasses as mappings, all the way down."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
