"""What users have done, against a count by hand and by brute force."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.data.raw.kinds import SourceFile
from xrec_lightning.data.report import histories
from xrec_lightning.data.report.histories import Histories, Policy, read_histories
from xrec_lightning.data.report.table import KeyedTable, key_log

Row = tuple[str, str, int, str]
POLICY = Policy(has_domains=True, counts=pl.lit(True), repeats="drop", has_times=True)
HOUR = 3600


def make_log(rows: Sequence[Row]) -> KeyedTable:
    names = ["user_id", "item_id", "timestamp", "domain"]
    frame = pl.DataFrame(rows, schema=names, orient="row").with_row_index("row")
    frame = frame.with_columns(pl.lit("log.csv").alias("source"))
    return key_log(frame.lazy(), [SourceFile(Path("log.csv"), "log.csv")])


def read(rows: Sequence[Row], policy: Policy = POLICY) -> Histories:
    return read_histories(make_log(rows), policy, ["x", "y"], len(rows))


def rows_of(result: Histories, *columns: str) -> list[tuple[int, ...]]:
    return result.users.sort("first_key").select(columns).rows()


def test_copies_ties_and_domains_by_hand() -> None:
    result = read(
        [
            ("u", "a", 10, "x"),
            ("v", "a", 5, "x"),
            ("u", "a", 10, "x"),  # a duplicate
            ("u", "b", 10, "y"),
            ("u", "a", 30, "x"),  # a repeat
            ("v", "b", 4, "y"),
            ("w", "c", 1, "y"),
        ]
    )
    columns = ("first_key", "rows", "domains", "events", "times", "tied")
    assert rows_of(result, *columns) == [(0, 3, 2, 2, 1, 2), (1, 2, 2, 2, 2, 1), (6, 1, 1, 1, 1, 1)]
    assert (result.duplicates, result.repeats, result.tied) == (1, 1, 2)
    assert result.first_keys == {"duplicate": 2, "repeat": 4}
    assert result.overlap.rows() == [("x", "x", 2), ("x", "y", 2), ("y", "x", 2), ("y", "y", 3)]


def test_policy_decides_what_is_an_event() -> None:
    rows = [("u", "a", 10, "x"), ("u", "a", 30, "x"), ("u", "b", 20, "x")]
    assert rows_of(read(rows), "events", "times") == [(2, 2)]
    assert rows_of(read(rows, POLICY._replace(repeats="keep")), "events", "times") == [(3, 3)]
    late = POLICY._replace(counts=pl.col("timestamp") > 15)
    assert rows_of(read(rows, late), "rows", "events") == [(3, 2)]
    never = POLICY._replace(counts=pl.lit(None, pl.Boolean))
    assert rows_of(read(rows, never), "rows", "events", "times", "tied") == [(3, 0, 0, 0)]


def test_rate_and_streak_are_by_the_hour_of_the_clock() -> None:
    times = [HOUR - 1, HOUR, HOUR + 1, 3 * HOUR, 4 * HOUR, 5 * HOUR, 9 * HOUR]
    rows = [("u", f"i{time}", time, "x") for time in times] + [("v", "a", 6 * HOUR, "x")]
    assert rows_of(read(rows), "rate", "streak") == [(2, 3), (1, 1)]
    assert rows_of(read(rows, POLICY._replace(has_times=False)), "rate", "streak") == [(0, 0)] * 2


ROWS = st.lists(
    st.tuples(
        st.sampled_from("uvw"), st.sampled_from("abc"), st.integers(0, 5), st.sampled_from("xy")
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None)
@given(ROWS)
def test_counts_equal_brute_force(rows: list[Row]) -> None:
    result = read(rows, POLICY._replace(repeats="keep"))
    distinct = list(dict.fromkeys(rows))
    pairs = {(user, item) for user, item, _, _ in distinct}
    moments = Counter((user, time) for user, _, time, _ in distinct)
    assert result.duplicates == len(rows) - len(distinct)
    assert result.repeats == len(distinct) - len(pairs)
    assert result.tied == sum(count for count in moments.values() if count > 1)
    users = {user: [row for row in distinct if row[0] == user] for user, *_ in rows}
    expected = sorted(
        (
            len(own),
            len({row[2] for row in own}),
            moments[user, max(row[2] for row in own)],
            len({row[3] for row in own}),
        )
        for user, own in users.items()
    )
    columns = ("events", "times", "tied", "domains")
    assert sorted(result.users.select(columns).rows()) == expected


@settings(deadline=None)
@given(ROWS)
def test_parts_give_what_the_whole_gives(rows: list[Row]) -> None:
    whole = read(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(histories, "SHARD_ROWS", 2)
        parts = read(rows)
    assert (
        parts.users.sort("first_key")
        .drop("domain")
        .equals(whole.users.sort("first_key").drop("domain"))
    )
    assert parts.overlap.equals(whole.overlap)
    assert parts[2:] == whole[2:]
