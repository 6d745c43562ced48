"""How users behave."""

import polars as pl
import pytest

from xrec_lightning.data.report.activity import (
    MIN_RATE,
    MIN_STREAK,
    fastest_users,
    limit,
    measure_activity,
)


def make_users(**columns: list[int]) -> pl.DataFrame:
    size = len(next(iter(columns.values())))
    names = ("first_key", "rows", "rate", "streak", "events", "times", "tied")
    return pl.DataFrame({name: columns.get(name, [1] * size) for name in names})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 1, 1, 1, 900], MIN_RATE),  # a tight bulk: 8 times its quartile, or the least
        ([10, 10, 10, 10, 900], 80),
        ([4, 4, 8, 16, 16], 1024),  # quartiles 4 and 16: 16 * 4 ** 3
        ([0, 0, 0, 0, 0], MIN_RATE),
    ],
)
def test_limit_lies_far_above_the_bulk(values: list[int], expected: int) -> None:
    assert limit(pl.Series(values), MIN_RATE) == expected


def test_many_bots_do_not_hide_each_other() -> None:
    users = make_users(rate=[5] * 80 + [5000] * 20)
    assert measure_activity(users).suspicious_users == 20


def test_fast_users_and_long_streaks_are_suspicious() -> None:
    users = make_users(rate=[2, 2, 2, MIN_RATE + 1, 2, 2], streak=[1, 1, 1, 1, MIN_STREAK + 1, 1])
    activity = measure_activity(users)
    assert (activity.rate_limit, activity.streak_limit) == (MIN_RATE, MIN_STREAK)
    assert activity.suspicious_users == 2


def test_quantiles_and_mean_are_of_events() -> None:
    lengths = measure_activity(make_users(events=[1, 2, 3, 4, 10])).history_lengths
    assert list(lengths) == ["p0", "p10", "p25", "p50", "p75", "p90", "p99", "p100", "mean"]
    assert [lengths[name] for name in ("p0", "p25", "p50", "p100", "mean")] == [1, 2, 3, 10, 4]


def test_users_with_one_event_are_never_tied() -> None:
    users = make_users(events=[1, 2, 2, 3], tied=[1, 2, 1, 2])
    assert measure_activity(users).last_tied_share == round(2 / 3, 6)


def test_fastest_users_come_first_and_equal_ones_by_row() -> None:
    users = make_users(first_key=[7, 3, 5], rate=[4, 4, 9])
    assert fastest_users(users, 2)["first_key"].to_list() == [5, 3]
