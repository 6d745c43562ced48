"""Totals of a log and the faults of single rows."""

from pathlib import Path

import polars as pl
import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.tables import InteractionsConfig
from xrec_lightning.data.raw.kinds import SourceFile
from xrec_lightning.data.report.rows import (
    Totals,
    find_faults,
    read_totals,
    row_checks,
    time_order,
    total_frame,
)
from xrec_lightning.data.report.table import KeyedTable, key_log

CONFIG = PrepareConfig(interactions=InteractionsConfig(path="log.csv"))
Row = tuple[str | None, str | None, int | None, str | None]


def make_log(rows: list[Row], **more: list[object]) -> KeyedTable:
    names = ["user_id", "item_id", "timestamp", "domain"]
    types = [pl.String, pl.String, pl.Int64, pl.String]
    frame = pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")
    frame = frame.with_columns(pl.Series(name, values) for name, values in more.items())
    frame = frame.with_row_index("row").with_columns(pl.lit("log.csv").alias("source"))
    return key_log(frame.lazy(), [SourceFile(Path("log.csv"), "log.csv")])


def totals_of(rows: list[Row], **more: list[object]) -> Totals:
    return read_totals(total_frame(make_log(rows, **more), []).collect())


def test_totals_of_a_log_with_gaps() -> None:
    totals = totals_of(
        [
            ("u", "a", 5, "x"),
            ("u", "b", 3, "x"),
            (None, "a", 9, "x"),
            ("v", "a", 7, None),
            ("v", "a", None, "x"),
        ],
        rating=[1.0, None, 4.0, float("inf"), 2.5],
    )
    assert totals == Totals(
        rows=5,
        accepted=2,
        has_domains=True,
        has_times=True,
        nulls={"user_id": 1, "item_id": 0, "timestamp": 1, "domain": 1, "rating": 1},
        first_time=3,
        last_time=7,
        time_breaks=2,
        user_breaks=1,
        user_changes=3,
        first_time_break=1,
        first_user_break=1,
        rating_range=(1.0, 4.0),
    )


def test_log_without_any_domain_needs_none() -> None:
    totals = totals_of([("u", "a", 5, None), ("u", "b", 6, None)])
    assert (totals.accepted, totals.has_domains) == (2, False)


@pytest.mark.parametrize(
    ("users", "times", "order"),
    [
        ("uvu", [1, 2, 3], "time"),
        ("uuv", [1, 2, 1], "user, time"),
        ("uuv", [2, 1, 3], "user"),
        ("uvu", [3, 2, 1], "nothing"),
    ],
)
def test_order_of_the_rows(users: str, times: list[int], order: str) -> None:
    totals = totals_of([(user, "a", time, "x") for user, time in zip(users, times, strict=True)])
    assert time_order(totals, num_users=2) == order


def faults(log: KeyedTable, now: int = 10**10, config: PrepareConfig = CONFIG) -> dict[str, int]:
    checks = row_checks(config, log.columns, now)
    table = total_frame(log, checks).collect()
    found = find_faults(table, checks, read_totals(table))
    return {f"{each.finding.code} {each.finding.column}": each.key for each in found}


def test_fault_has_its_first_row() -> None:
    good = ("u", "a", 10**9, "x")
    log = make_log([good, ("u", None, 10**9, "x"), ("u", None, None, "x"), ("u", "NaN", 1, "x")])
    assert faults(log) == {
        "item_missing item_id": 1,
        "time_unreadable timestamp": 2,
        "time_early timestamp": 3,
        "placeholder_id item_id": 3,
    }


def test_columns_that_are_empty_throughout_are_no_fault() -> None:
    log = make_log([("u", "a", 10**9, None)] * 2, rating=[None, float("nan")])
    assert faults(log) == {}


def test_times_are_not_checked_where_the_file_has_the_order() -> None:
    ordered = PrepareConfig(interactions=InteractionsConfig(path="log.csv", order="file"))
    log = make_log([("u", "a", 0, "x")])
    assert faults(log, now=-1, config=ordered) == {}
    assert set(faults(log, now=-1)) == {"time_future timestamp", "time_early timestamp"}
