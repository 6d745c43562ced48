from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.data.steps.clean import part
from xrec_lightning.data.steps.order import add_order, sort_flat
from xrec_lightning.data.steps.repeats import (
    DUPLICATE,
    REPEAT,
    REPEATED,
    flag_duplicates,
    flag_repeats,
)

MakeEvents = Callable[..., pl.DataFrame]
ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.sampled_from([None, 1.0]))
)


def flat(log: pl.DataFrame, ties: str = "shuffle") -> pl.DataFrame:
    return sort_flat(add_order(log, ties), 0)


def test_all_but_the_first_row_of_equal_ones_are_duplicates(make_events: MakeEvents) -> None:
    log = make_events([(0, 5, 1), (0, 5, 2), (0, 5, 1), (1, 5, 1), (0, 6, 1)])
    kept, rejected = part(flag_duplicates(flat(log)))
    assert sorted(kept["row"]) == [0, 1, 3, 4]
    assert rejected.to_dicts() == [
        {
            "source": "log.csv",
            "row": 2,
            "reason": DUPLICATE,
            "user_index": 0,
            "item_index": 5,
            "value": None,
        }
    ]


def test_rows_that_differ_in_what_they_say_are_no_duplicates(make_events: MakeEvents) -> None:
    moment = [(0, 5, 1)] * 2
    for column in ({"event": ["view", "buy"]}, {"rating": [1, None]}, {"domains": [0, 1]}):
        flagged = flag_duplicates(flat(make_events(moment, **column)))
        assert flagged["reason"].null_count() == 2


@settings(deadline=None)
@given(rows=ROWS, ties=st.sampled_from(["shuffle", "file"]), data=st.data())
def test_one_of_each_is_kept_whatever_the_order(
    make_events: MakeEvents, rows: list[tuple], ties: str, data: st.DataObject
) -> None:
    log = make_events([row[:3] for row in rows], rating=[row[3] for row in rows])
    order = data.draw(st.permutations(range(len(rows))))
    kept, rejected = part(flag_duplicates(flat(log[order], ties)))
    first = {row: place for place, row in reversed(list(enumerate(rows)))}
    assert sorted(kept["row"]) == sorted(first.values())
    assert len(rejected) == len(rows) - len(first)


@pytest.mark.parametrize(("repeats", "reason"), [("drop", REPEAT), ("last", REPEATED)])
@settings(deadline=None)
@given(rows=ROWS)
def test_one_event_of_a_user_with_an_item_is_kept(
    make_events: MakeEvents, repeats: str, reason: str, rows: list[tuple]
) -> None:
    log = flat(make_events([row[:3] for row in rows]))
    kept, rejected = part(flag_repeats(log, repeats))
    pairs = log.select("user_index", "item_index", "row").rows()
    pairs = pairs if repeats == "last" else pairs[::-1]
    by_pair = {(user, item): row for user, item, row in pairs}
    assert sorted(kept["row"]) == sorted(by_pair.values())
    assert set(rejected["reason"]) <= {reason}
    assert kept.equals(log.filter(pl.col("row").is_in(list(by_pair.values()))))


def test_the_first_and_the_last_are_so_by_time(make_events: MakeEvents) -> None:
    log = flat(make_events([(0, 1, 30), (0, 1, 10), (0, 1, 20)]))
    assert part(flag_repeats(log, "drop"))[0]["timestamp"].to_list() == [10]
    assert part(flag_repeats(log, "last"))[0]["timestamp"].to_list() == [30]
    assert flag_repeats(log, "keep")["reason"].null_count() == 3
