"""The report on whole data sets: each fault is found, alone, and a clean set has none."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import polars as pl
import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.steps import AnonymizeConfig, CleanConfig, EventsConfig, SplitConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import prepare
from xrec_lightning.data.report.inspect import inspect_data

NOW = 1_700_000_000
END = 1_600_000_000 + 80 * 7200
"""Later than all events of the clean data."""

Make = Callable[..., PrepareConfig]
Change = Callable[[Any], object]


def codes(config: PrepareConfig, now: int = NOW) -> list[str]:
    return [finding.code for finding in inspect_data(config, now).findings]


def rename(table: str, old: str, new: str) -> Change:
    """Return a change that replaces a field everywhere in some tables."""

    def change(data: Any) -> None:
        for name in table.split():
            for row in getattr(data, name):
                row[:] = [new if field == old else field for field in row]

    return change


def swap_last(data: Any) -> None:
    data.log[-2:] = data.log[:-3:-1]


def split_users(data: Any) -> None:
    data.log[:] = [row for row in data.log if (row[0] in ("u0", "u1")) == (row[2] == "x")]


def tie(data: Any) -> None:
    """The last time of u0 gets a second event."""
    row = next(row for row in reversed(data.log) if row[0] == "u0")
    data.log.insert(data.log.index(row), ["u0", "i00", "x", row[3]])


def burst(data: Any) -> None:
    data.log.extend([["u0", f"i{n % 20:02}", "xy"[n % 20 // 10], str(END + n)] for n in range(40)])


def streak(data: Any) -> None:
    data.log.extend(
        [["u0", f"i{n % 20:02}", "xy"[n % 20 // 10], str(END + 3600 * n)] for n in range(30)]
    )


def empty_titles(data: Any) -> None:
    for row in data.items:
        row[2] = "" if row[1] == "y" else row[2]


def add_tiny(data: Any) -> None:
    data.log.append(["u0", "z0", "z", str(END)])
    data.items.append(["z0", "z", "Tea no 99"])


def add(table: str, *row: str) -> Change:
    return lambda data: getattr(data, table).append(list(row))


KEEP = {"clean": CleanConfig(repeats="keep")}
FAULTS: dict[str, tuple[Change, list[str]]] = {
    "equal rows": (lambda data: data.log.append(data.log[-1]), ["duplicate_rows"]),
    "repeat": (add("log", "u0", "i00", "x", str(END)), ["repeats"]),
    "swapped rows": (swap_last, ["unsorted"]),
    "word for a time": (add("log", "u0", "i00", "x", "soon"), ["time_unreadable"]),
    "no user": (add("log", "", "i00", "x", str(END)), ["user_missing"]),
    "no item": (add("log", "u0", "", "x", str(END)), ["item_missing"]),
    "no domain": (add("log", "u0", "other", "", str(END)), ["domain_missing"]),
    "time of 1970": (rename("log", "1600000000", "5"), ["time_early"]),
    "no id at all": (rename("log users", "u3", "-1"), ["placeholder_id"]),
    "address as id": (rename("log users", "u3", "jo@shop.org"), ["email_as_id"]),
    "one event": (
        add("log", "u9", "i00", "x", str(END)),
        ["short_histories", "users_without_profile"],
    ),
    "tiny domain": (add_tiny, ["tiny_domain"]),
    "item not listed": (lambda data: data.items.pop(), ["ids_without_item"]),
    "item never seen": (add("items", "i99", "x", "Pot"), ["items_without_events"]),
    "no title": (rename("items", "Tea no 3", ""), ["items_without_text"]),
    "equal titles": (rename("items", "Tea no 3", "Tea no 4"), ["repeated_texts"]),
    "two titles": (add("items", "i03", "x", "Pot"), ["item_texts_differ"]),
    "item row twice": (lambda data: data.items.append(data.items[0]), ["item_rows_repeated"]),
    "item without id": (add("items", "", "x", "Pot"), ["rows_without_id"]),
    "address in title": (rename("items", "Tea no 3", "ask jo@shop.org"), ["email_in_text"]),
    "number in title": (rename("items", "Tea no 3", "+49 30 1234567"), ["phone_in_text"]),
    "domains apart": (split_users, ["no_shared_users"]),
    "domain without titles": (empty_titles, ["items_without_text", "domain_without_text"]),
    "user without profile": (lambda data: data.users.pop(), ["users_without_profile"]),
    "unknown profile": (add("users", "u9", "new"), ["profiles_without_events"]),
    "profile twice": (add("users", "u3", "other"), ["profile_rows_repeated"]),
    "profile without id": (add("users", "", "other"), ["rows_without_id"]),
    "address in profile": (rename("users", "likes tea 1", "jo@shop.org"), ["email_in_text"]),
}


def test_clean_data_have_no_findings(make_data: Make) -> None:
    assert inspect_data(make_data(), NOW).findings == []


@pytest.mark.parametrize(("change", "expected"), FAULTS.values(), ids=FAULTS)
def test_fault_is_found_alone(make_data: Make, change: Change, expected: list[str]) -> None:
    assert sorted(codes(make_data(change))) == sorted(expected)


@pytest.mark.parametrize(
    ("change", "settings", "expected"),
    [
        (tie, KEEP, "ties"),
        (burst, KEEP, "suspicious_users"),
        (streak, KEEP, "suspicious_users"),
        (lambda _: None, {"events": EventsConfig(weights={"buy": 2.0})}, "unknown_event"),
        (lambda _: None, {"domains": {"z": "Zebras"}}, "unknown_domain"),
        (lambda _: None, {"split": SplitConfig(cold_domain="z")}, "unknown_domain"),
        (lambda _: None, {"clean": CleanConfig(filters=["price > 3"])}, "bad_setting"),
        (lambda _: None, {"clean": CleanConfig(since="soon")}, "bad_setting"),
        (lambda _: None, {"clean": CleanConfig(since="2030-01-01")}, "nothing_left"),
        (lambda _: None, {"clean": CleanConfig(k_core=21)}, "empty_core"),
        (lambda _: None, {"split": SplitConfig(method="last_n", n=10)}, "too_few_times"),
        (lambda _: None, {"anonymize": AnonymizeConfig(drop=["bout"])}, "bad_setting"),
        (rename("log items", "x", "cold"), {}, "domain_reserved"),
    ],
)
def test_fault_of_settings_is_found_alone(
    make_data: Make, change: Change, settings: dict[str, object], expected: str
) -> None:
    assert codes(make_data(change, **settings)) == [expected]


def test_future_is_after_now(make_data: Make) -> None:
    last = END - 7200
    assert codes(make_data(), now=last) == []
    assert codes(make_data(), now=last - 1) == ["time_future"]


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [("rating", "nan", "rating_missing"), ("weight", "-1", "weight_unusable")],
)
def test_unusable_numbers_are_found(
    make_data: Make, column: str, value: str, expected: str
) -> None:
    def change(data: Any) -> None:
        for row in data.log:
            row.append("1.5")
        data.log[4][-1] = value

    (finding,) = inspect_data(make_data(change, more=[column]), NOW).findings
    assert (finding.code, finding.row, finding.count) == (expected, 4, 1)


def keep_only(count: int) -> Change:
    return lambda data: data.log.__delitem__(slice(count, None))


REFUSED: dict[str, tuple[Change, str]] = {
    "no rows": (keep_only(0), "no_rows"),
    "no times": (lambda data: [row.__setitem__(3, "soon") for row in data.log], "nothing_left"),
    "one time": (lambda data: [row.__setitem__(3, "9") for row in data.log], "all_times_equal"),
    "two events a user": (keep_only(8), "too_few_times"),
    "reserved name": (rename("log items", "x", "cold"), "domain_reserved"),
    "uneven row": (add("log", "u0", "i00", "x", str(END), "more"), "unreadable"),
}


@pytest.mark.parametrize(("change", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_prepare_refuses_is_an_error(make_data: Make, change: Change, expected: str) -> None:
    config = make_data(change)
    errors = [each for each in inspect_data(config, NOW).findings if each.severity == "error"]
    assert [each.code for each in errors] == [expected]
    with pytest.raises(InputError):
        prepare(config)


def test_what_prepare_accepts_is_no_error(make_data: Make) -> None:
    assert prepare(make_data()).is_dir()


def test_counts_are_those_of_the_rejected_rows(make_data: Make) -> None:
    def change(data: Any) -> None:
        data.log.extend([data.log[0], data.log[0], ["u0", "i00", "x", str(END)]])
        data.log.extend([["", "i00", "x", str(END)], ["u0", "i00", "x", "soon"]])

    config = make_data(change)
    found = {each.code: each.count for each in inspect_data(config, NOW).findings}
    rejected = pl.read_parquet(prepare(config) / "rejected.parquet")
    assert sorted(rejected.group_by("reason").len()["len"]) == sorted(
        found[code] for code in ("duplicate_rows", "repeats", "user_missing", "time_unreadable")
    )


def test_missing_file_is_an_error(make_data: Make) -> None:
    config = make_data()
    lost = replace(config, items=replace(config.items, path=f"{config.output}/none.csv"))
    (finding,) = inspect_data(lost, NOW).findings
    assert (finding.severity, finding.code) == ("error", "unreadable")
    assert "none.csv" in finding.message + finding.remedy


def test_missing_column_is_an_error_with_remedy(make_data: Make) -> None:
    config = make_data()
    lost = replace(config, items=replace(config.items, text=["titl"]))
    (finding,) = inspect_data(lost, NOW).findings
    assert "titl" in finding.message + finding.remedy
    assert "title" in finding.remedy


def test_finding_says_where_and_what(make_data: Make) -> None:
    config = make_data(add("log", "u0", "i00", "x", "soon"))
    (finding,) = inspect_data(config, NOW).findings
    assert finding.file == config.interactions.path
    assert (finding.row, finding.column, finding.example) == (80, "timestamp", "soon")
    assert (finding.count, finding.share) == (1, round(1 / 81, 6))
    assert "interactions.columns" in finding.remedy


def test_addresses_are_masked_wherever_they_are_shown(make_data: Make) -> None:
    def change(data: Any) -> None:
        rename("log users", "u3", "jo@shop.org")(data)
        rename("items", "Tea no 3", "ask amy@shop.org")(data)
        rename("items", "Tea no 4", "ask amy@shop.org")(data)

    report = inspect_data(make_data(change), NOW)
    assert {each.code for each in report.findings} == {
        "email_as_id",
        "email_in_text",
        "repeated_texts",
    }
    shown = str([asdict(each) for each in report.findings]) + str(report)
    assert "shop.org" not in shown
    assert "j***@***.org" in shown


def test_facts_of_the_clean_data(make_data: Make) -> None:
    report = inspect_data(make_data(), NOW, top=2)
    log = report.log
    assert log is not None
    assert (log.users, log.items, log.accepted, log.density) == (4, 20, 80, 1.0)
    assert log.first_time == "2020-09-13T12:26:40+00:00"
    assert (log.time_order, log.one_domain_users, log.rating_range) == ("time", 0, None)
    assert [(each.rate, each.streak, each.rows) for each in log.fastest_users] == [(1, 1, 20)] * 2
    assert [each[:5] for each in report.domains] == [("x", 4, 0, 10, 40), ("y", 4, 0, 10, 40)]
    assert [tuple(pair) for pair in report.overlap] == [("x", "y", 4)]
    assert [(each.table, each.rows) for each in report.tables] == [
        ("interactions", 80),
        ("items", 20),
        ("users", 4),
    ]


def test_order_of_the_file_needs_no_times(make_data: Make) -> None:
    config = make_data()
    interactions = replace(config.interactions, order="file")
    report = inspect_data(replace(config, interactions=interactions), NOW)
    assert report.findings == []
    assert report.log is not None
    assert report.log.first_time is None


def test_log_alone_has_one_domain_and_no_text(make_data: Make) -> None:
    config = make_data(lambda data: [row.__setitem__(2, "") for row in data.log])
    report = inspect_data(replace(config, items=None, users=None), NOW)
    assert [each.code for each in report.findings] == ["items_without_text"]
    assert [(each.domain, each.items) for each in report.domains] == [("items", 20)]


def test_ids_that_are_hashed_may_be_addresses(
    make_data: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "0123456789abcdef")
    hidden = AnonymizeConfig(users=True, key_env="TEST_KEY")
    change = rename("log users", "u3", "jo@shop.org")
    assert codes(make_data(change, anonymize=hidden)) == []
    monkeypatch.delenv("TEST_KEY")
    assert codes(make_data(change, anonymize=hidden)) == ["bad_setting"]
