from collections.abc import Callable

import polars as pl
import pytest

from xrec_lightning.data.config.steps import CleanConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.steps.clean import part
from xrec_lightning.data.steps.filters import (
    filter_columns,
    first_time,
    flag_early,
    flag_unmet,
    refuse_bad_filters,
)

MakeEvents = Callable[..., pl.DataFrame]
GIVEN = {"user_id", "item_id", "domain", "timestamp", "event", "rating", "source"}
DAY = 86_400


def test_columns_are_those_that_the_conditions_name() -> None:
    filters = ["rating >= 3 OR event = 'buy'", "domain IN ('rating', 'films')", "1 = 1"]
    assert filter_columns(filters) == {"rating", "event", "domain"}
    assert filter_columns([]) == set()


@pytest.mark.parametrize(
    "condition",
    [
        "rating >= 3",
        "domain IN ('books', 'it''s AVG(x) OVER')",
        "rating IS NOT NULL AND NOT (user_id LIKE 'test%')",
        "timestamp BETWEEN 5 AND 10",
        "source = 'log.csv'",
        "1 = 1",
    ],
)
def test_conditions_on_one_row_are_accepted(condition: str) -> None:
    refuse_bad_filters([condition], GIVEN)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("rating >=", r"clean.filters: rating >=: .*; write a condition in SQL"),
        ("", "write a condition in SQL"),
        ("ratng >= 3", r"ratng >= 3: no column `ratng`; did you mean `rating`\?"),
        ("user_index > 3", r"no column `user_index`; did you mean `user_id`\?"),
        ("weight > 1", "no file of the interactions has a column `weight`"),
        ("rating >= 'high'", "compare numbers with numbers"),
        ("rating + 1", "no yes or no"),
        ("rating > AVG(rating)", r"AVG looks at more than one row"),
        ("count(*) > 3", "count looks at more than one row"),
        ("ROW_NUMBER() OVER (ORDER BY rating) > 1", "looks at more than one row"),
        ("user_id IN (SELECT user_id FROM log)", "SELECT looks at more than one row"),
    ],
)
def test_what_is_no_condition_is_refused(condition: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        refuse_bad_filters(["rating >= 3", condition], GIVEN)


def test_rows_that_fail_a_condition_name_the_first_of_them(make_events: MakeEvents) -> None:
    log = make_events([(0, 1, 9), (0, 2, 9), (0, 3, 1), (0, 4, 1)], rating=[3, None, 5, 1])
    flagged = flag_unmet(log, ["rating >= 3", "timestamp > 5", "1 = 1"])
    assert flagged["reason"].to_list() == [
        None,
        "does not meet: rating >= 3",
        "does not meet: timestamp > 5",
        "does not meet: rating >= 3",
    ]
    assert flag_unmet(log, ["1 = 2"])["reason"].to_list() == ["does not meet: 1 = 2"] * 4
    assert flag_unmet(log, [])["reason"].null_count() == 4


def test_ids_and_domains_can_be_named(make_events: MakeEvents) -> None:
    log = make_events([(0, 1, 9), (0, 2, 9)]).with_columns(pl.Series("domain", ["books", "films"]))
    kept, rejected = part(flag_unmet(log, ["domain IN ('books')"]))
    assert (kept["row"].to_list(), rejected["row"].to_list()) == ([0], [1])


def test_times_before_since_and_the_last_days_are_dropped(make_events: MakeEvents) -> None:
    log = make_events([(0, item, item * DAY) for item in range(5)])
    config = CleanConfig(since="1970-01-02", last_days=1.5)
    reasons = flag_early(log, config, last_time=4 * DAY)["reason"].to_list()
    assert reasons == ["before 1970-01-02"] + ["before the last 1.5 days"] * 2 + [None] * 2
    exact = flag_early(log, CleanConfig(last_days=2), last_time=4 * DAY)
    assert exact["reason"].null_count() == 3
    assert flag_early(log, CleanConfig(), None)["reason"].null_count() == 5


def test_since_is_a_time() -> None:
    assert first_time(CleanConfig()) is None
    assert first_time(CleanConfig(since=7)) == 7
    with pytest.raises(InputError, match=r"clean\.since: soon is no time"):
        first_time(CleanConfig(since="soon"))
