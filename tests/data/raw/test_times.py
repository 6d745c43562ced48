from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.raw.times import parse_time, to_seconds

MOMENT = 1_700_000_000  # 2023-11-14 22:13:20 UTC


def seconds(values: pl.Series, unit: str = "auto") -> list[int | None]:
    frame = values.alias("time").to_frame()
    return frame.select(to_seconds("time", values.dtype, unit)).to_series().to_list()


@pytest.mark.parametrize("factor", [1, 10**3, 10**6, 10**9])
def test_unit_of_numbers_is_told_by_magnitude(factor: int) -> None:
    assert seconds(pl.Series([MOMENT * factor])) == [MOMENT]
    assert seconds(pl.Series([float(MOMENT * factor)])) == [MOMENT]


def test_units_may_be_mixed() -> None:
    numbers = [MOMENT * factor for factor in (1, 10**3, 10**6, 10**9)]
    assert seconds(pl.Series(numbers)) == [MOMENT] * 4
    assert seconds(pl.Series([float(number) for number in numbers])) == [MOMENT] * 4


def test_nanoseconds_are_exact() -> None:
    late = MOMENT * 10**9 + 999_999_999
    assert seconds(pl.Series([late, -late])) == [MOMENT, -MOMENT - 1]
    assert seconds(pl.Series([late], dtype=pl.UInt64)) == [MOMENT]


def test_small_types_are_read() -> None:
    assert seconds(pl.Series([7], dtype=pl.Int8)) == [7]
    assert seconds(pl.Series([Decimal("7.9")])) == [7]


def test_categories_are_read_as_text() -> None:
    assert seconds(pl.Series(["1970-01-02", "soon"], dtype=pl.Categorical)) == [86_400, None]
    assert seconds(pl.Series(["7"], dtype=pl.Enum(["7"]))) == [7]


def test_no_rows_are_read() -> None:
    assert seconds(pl.Series([], dtype=pl.Int64)) == []
    assert seconds(pl.Series([], dtype=pl.String)) == []


def test_given_unit_overrules_magnitude() -> None:
    assert seconds(pl.Series([5_000, -1]), "ms") == [5, -1]
    assert seconds(pl.Series([1.5e12]), "s") == [1_500_000_000_000]


def test_fractions_are_cut() -> None:
    assert seconds(pl.Series([1.9, 0.0])) == [1, 0]


TEXTS = [
    ("1700000000", MOMENT),
    ("1700000000123", MOMENT),
    (" 1.7e9 ", MOMENT),
    ("2023-11-14T22:13:20Z", MOMENT),
    ("2023-11-14T22:13:20.987Z", MOMENT),
    ("2023-11-14 22:13:20", MOMENT),
    ("2023-11-15T00:13:20+02:00", MOMENT),
    ("2023-11-14T17:13:20-0500", MOMENT),
    ("2023-11-14 22:13", MOMENT - 20),
    ("2023/11/14", MOMENT - 80_000),
    ("2023-11-14", MOMENT - 80_000),
    ("2023-11-14 22:13:20 UTC", MOMENT),
    ("2023-11-14T22:13+00:00", MOMENT - 20),
    ("-5", -5),
    ("1700000000999999999", MOMENT),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_strings_are_read(text: str, expected: int) -> None:
    assert seconds(pl.Series([text])) == [expected]


@given(rows=st.lists(st.sampled_from([*TEXTS, ("soon", None), (None, None)])))
def test_forms_may_be_mixed(rows: list[tuple[str | None, int | None]]) -> None:
    texts = pl.Series([text for text, _ in rows], dtype=pl.String)
    assert seconds(texts) == [expected for _, expected in rows]


@pytest.mark.parametrize("text", ["yesterday", "", "2023-02-31", "2023-13-01", "NaN", "inf", None])
def test_other_strings_are_null(text: str | None) -> None:
    assert seconds(pl.Series([text, "7"], dtype=pl.String)) == [None, 7]


def test_numbers_that_are_no_time_are_null() -> None:
    assert seconds(pl.Series([float("nan"), float("inf"), None])) == [None, None, None]


def test_dates_and_datetimes_are_read() -> None:
    assert seconds(pl.Series([date(1970, 1, 2)])) == [86_400]
    assert seconds(pl.Series([datetime(2023, 11, 14, 22, 13, 20)])) == [MOMENT]
    zoned = pl.Series([datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)])
    assert seconds(zoned.dt.convert_time_zone("Europe/Berlin")) == [MOMENT]


def test_types_that_are_no_time_are_null() -> None:
    assert seconds(pl.Series([[1]])) == [None]


def test_one_value_is_parsed() -> None:
    assert parse_time("1970-01-02") == 86_400
    assert parse_time(12) == 12
    assert parse_time("soon") is None
