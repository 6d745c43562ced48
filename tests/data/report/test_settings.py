"""Settings that do not fit the data."""

import polars as pl
import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.steps import (
    AnonymizeConfig,
    CleanConfig,
    EventsConfig,
    SplitConfig,
)
from xrec_lightning.data.config.tables import InteractionsConfig, UsersConfig
from xrec_lightning.data.report.rows import Totals
from xrec_lightning.data.report.settings import (
    find_anonymize,
    find_refusals,
    find_unknown_names,
    make_policy,
    read_conditions,
)

COLUMNS = ["user_id", "item_id", "timestamp", "domain", "event", "rating"]
ROWS = pl.DataFrame(
    {
        "timestamp": [0, 86_400, 2 * 86_400],
        "event": ["buy", "hate", None],
        "rating": [4.0, 5.0, 1.0],
    }
)
TOTALS = Totals(3, 3, True, True, {}, 0, 2 * 86_400, 0, 0, 1, None, None, None)


def make(**changes: object) -> PrepareConfig:
    return PrepareConfig(interactions=InteractionsConfig(path="-"), **changes)


def test_rows_pass_what_all_conditions_allow() -> None:
    config = make(clean=CleanConfig(filters=["rating >= 3"], since="1970-01-02"))
    conditions = read_conditions(config, COLUMNS)
    assert conditions.findings == []
    assert ROWS.select(conditions.passes).to_series().to_list() == [False, True, False]


@pytest.mark.parametrize("condition", ["rating >=", "ratng >= 3", "price >= 3", "rating"])
def test_filter_that_cannot_be_used_is_an_error(condition: str) -> None:
    conditions = read_conditions(make(clean=CleanConfig(filters=[condition])), COLUMNS)
    (finding,) = conditions.findings
    assert (finding.severity, finding.code, finding.example) == ("error", "bad_setting", condition)
    assert "clean.filters" in finding.message
    assert ROWS.select(conditions.passes).to_series().all()


def test_dislikes_are_no_events() -> None:
    config = make(events=EventsConfig(dislikes=["hate"], dislike_below=2))
    policy = make_policy(config, COLUMNS, pl.lit(True), has_domains=True)
    assert ROWS.select(policy.counts).to_series().to_list() == [True, False, False]
    assert (policy.repeats, policy.has_times) == ("drop", True)


def test_names_are_looked_up_in_the_data() -> None:
    config = make(
        events=EventsConfig(weights={"buy": 2.0, "by": 1.0}, dislikes=["hate"]),
        domains={"tea": "Tea"},
        split=SplitConfig(cold_domain="potts"),
    )
    found = find_unknown_names(config, {"buy": 3}, ["pots", "cold"])
    assert [(each.severity, each.code, each.example) for each in found] == [
        ("warning", "unknown_event", "by"),
        ("warning", "unknown_event", "hate"),
        ("warning", "unknown_domain", "tea"),
        ("error", "unknown_domain", "potts"),
        ("error", "domain_reserved", None),
    ]
    assert "did you mean `buy`?" in found[0].remedy
    assert "did you mean `pots`?" in found[3].remedy


@pytest.mark.parametrize(
    ("changes", "events", "times", "expected"),
    [
        ({}, [3, 1], [3, 1], []),
        ({}, [3, 1], [2, 1], ["too_few_times"]),
        ({"split": SplitConfig(method="global_time")}, [3, 1], [2, 1], []),
        ({"split": SplitConfig(method="last_n", n=2)}, [9, 1], [5, 1], []),
        ({"split": SplitConfig(method="last_n", n=2)}, [9, 1], [4, 1], ["too_few_times"]),
        ({"clean": CleanConfig(k_core=4)}, [4, 1], [3, 1], []),
        ({"clean": CleanConfig(k_core=5)}, [4, 1], [3, 1], ["empty_core"]),
        ({}, [0, 0], [0, 0], ["nothing_left"]),
    ],
)
def test_refusals(
    changes: dict[str, object], events: list[int], times: list[int], expected: list[str]
) -> None:
    users = pl.DataFrame({"events": events, "times": times})
    found = find_refusals(make(**changes), TOTALS, users, pl.Series([4, 1]))
    assert [each.code for each in found] == expected
    assert {each.severity for each in found} <= {"error"}


def test_equal_times_are_refused_before_too_few_of_them() -> None:
    users = pl.DataFrame({"events": [3], "times": [1]})
    (finding,) = find_refusals(make(), TOTALS._replace(last_time=0), users, pl.Series([4]))
    assert finding.code == "all_times_equal"


def test_hashing_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    config = make(anonymize=AnonymizeConfig(users=True, key_env="TEST_KEY"))
    monkeypatch.delenv("TEST_KEY", raising=False)
    (finding,) = find_anonymize(config, None)
    assert (finding.severity, finding.code, finding.example) == ("error", "bad_setting", "TEST_KEY")
    monkeypatch.setenv("TEST_KEY", "0123456789abcdef")
    assert find_anonymize(config, None) == []


def test_only_columns_that_are_there_and_unused_can_be_dropped() -> None:
    profiles = pl.LazyFrame({"user_id": ["u"], "age": [30], "city": ["Ulm"]})
    users = UsersConfig(path="-", text=["city"])
    for drop, expected in ((["age"], []), (["city", "aeg"], ["city", "aeg"])):
        config = make(users=users, anonymize=AnonymizeConfig(drop=drop))
        assert [each.example for each in find_anonymize(config, profiles)] == expected
    assert len(find_anonymize(make(anonymize=AnonymizeConfig(drop=["age"])), None)) == 1
