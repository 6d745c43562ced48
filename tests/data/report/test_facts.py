"""The JSON of a report: its keys are a contract with whoever reads it."""

import json
from collections.abc import Callable
from typing import Any

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.findings import Finding
from xrec_lightning.data.report.facts import Report, count_severities, report_json
from xrec_lightning.data.report.inspect import inspect_data

NOW = 1_700_000_000
FINDING = {
    "severity": str,
    "code": str,
    "message": str,
    "remedy": str,
    "count": int,
    "share": float,
    "column": (str, type(None)),
    "file": (str, type(None)),
    "row": (int, type(None)),
    "example": (str, type(None)),
}
LOG = {
    "users": int,
    "items": int,
    "accepted": int,
    "density": float,
    "first_time": str,
    "last_time": str,
    "time_order": str,
    "duplicates": int,
    "repeats": int,
    "tied_events": int,
    "rating_range": (list, type(None)),
    "event_types": dict,
    "one_domain_users": int,
    "activity": dict,
    "popularity": dict,
    "fastest_users": list,
}
DOMAIN = {
    "domain": str,
    "users": int,
    "only_users": int,
    "items": int,
    "events": int,
    "text_coverage": float,
}


def check(mapping: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(mapping) == list(expected)
    for name, kind in expected.items():
        assert isinstance(mapping[name], kind), name


def test_keys_and_types_of_the_json(make_data: Callable[..., PrepareConfig]) -> None:
    config = make_data(lambda data: data.log.append(["u0", "i00", "x", "soon"]))
    report = json.loads(report_json(inspect_data(config, NOW), "data.yaml"))
    assert list(report) == [
        "version",
        "config",
        "counts",
        "tables",
        "log",
        "domains",
        "overlap",
        "findings",
    ]
    assert (report["version"], report["config"]) == (1, "data.yaml")
    assert report["counts"] == {"error": 0, "warning": 1, "info": 0}
    check(report["findings"][0], FINDING)
    check(report["log"], LOG)
    check(report["domains"][0], DOMAIN)
    check(report["tables"][0], {"table": str, "files": list, "rows": int, "columns": list})
    check(report["tables"][0]["columns"][0], {"name": str, "dtype": str, "nulls": int})
    check(report["overlap"][0], {"left": str, "right": str, "users": int})
    check(
        report["log"]["fastest_users"][0], {"user_id": str, "rate": int, "streak": int, "rows": int}
    )
    assert list(report["log"]["activity"]) == [
        "history_lengths",
        "last_tied_share",
        "rate_limit",
        "streak_limit",
        "suspicious_users",
    ]
    assert list(report["log"]["popularity"]) == ["top_shares", "gini"]


def test_report_of_unreadable_data_has_the_same_keys() -> None:
    finding = Finding("error", "unreadable", "message", "remedy", 1, 1.0)
    report = json.loads(report_json(Report([], None, [], [], [finding]), "data.yaml"))
    assert (report["log"], report["tables"]) == (None, [])
    check(report["findings"][0], FINDING)


def test_severities_are_counted_even_where_there_are_none() -> None:
    finding = Finding("warning", "code", "message", "remedy", 1, 1.0)
    assert count_severities([finding] * 2) == {"error": 0, "warning": 2, "info": 0}
