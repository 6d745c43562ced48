from collections.abc import Callable

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.data.steps import clean
from xrec_lightning.data.steps.order import add_order, sort_flat

MakeLog = Callable[..., pl.DataFrame]
MakeEvents = Callable[..., pl.DataFrame]
ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 9)))


def flat(log: pl.DataFrame) -> pl.DataFrame:
    return sort_flat(add_order(log, "shuffle"), 0)


def test_the_first_reason_that_applies_is_given(make_events: MakeEvents) -> None:
    log = make_events([(0, 1, 1), (0, 2, 2), (0, 3, 3)])
    drops = {"late": np.array([False, True, True]), "odd": np.array([True, False, True])}
    kept, rejected = clean.part(clean.flag_rows(log, drops))
    assert rejected["reason"].to_list() == ["odd", "late", "late"]
    assert tuple(rejected.columns) == clean.REJECTED
    assert kept.columns == log.columns
    assert len(kept) == 0


def test_nothing_flagged_leaves_everything(make_events: MakeEvents) -> None:
    log = make_events([(0, 1, 1)])
    kept, rejected = clean.part(clean.flag_rows(log, {"odd": np.array([False])}))
    assert kept.equals(log)
    assert (len(rejected), rejected.schema["reason"]) == (0, pl.String())


@settings(deadline=None)
@given(rows=ROWS, most=st.integers(1, 3))
def test_all_events_of_a_user_with_a_busy_hour_are_dropped(
    make_events: MakeEvents, rows: list[tuple[int, int, int]], most: int
) -> None:
    log = flat(make_events([(user, item, time * 1000) for user, item, time in rows]))
    kept, rejected = clean.part(clean.flag_busy(log, most))
    busy = {
        user
        for user in range(3)
        for hour in range(3)
        if sum(u == user and time * 1000 // 3600 == hour for u, _, time in rows) > most
    }
    assert kept.equals(log.filter(~pl.col("user_index").is_in(busy)))
    assert set(rejected["reason"]) <= {f"the user has more than {most} events in one hour"}


@settings(deadline=None)
@given(rows=ROWS, most=st.integers(1, 3))
def test_the_newest_events_of_each_user_are_kept(
    make_events: MakeEvents, rows: list[tuple[int, int, int]], most: int
) -> None:
    log = flat(make_events(rows))
    kept, rejected = clean.part(clean.flag_old(log, most))
    newest = log.group_by("user_index", maintain_order=True).tail(most)
    assert kept.equals(newest.select(log.columns))
    assert set(rejected["reason"]) <= {f"older than the newest {most} events of the user"}
