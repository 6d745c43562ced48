from collections.abc import Callable

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.data.steps import clean
from xrec_lightning.data.steps.order import sort_flat
from xrec_lightning.data.steps.splits import add_order

MakeLog = Callable[..., pl.DataFrame]
MakeEvents = Callable[..., pl.DataFrame]
ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 9)))


def test_all_but_the_first_of_equal_rows_are_duplicates(make_log: MakeLog) -> None:
    log = make_log([("u", "a", "d", 1), ("u", "a", "d", 2), ("u", "a", "d", 1), ("v", "a", "d", 1)])
    kept, rejected = clean.part(clean.flag_duplicates(log))
    assert kept["row"].to_list() == [0, 1, 3]
    assert rejected.drop("source").to_dicts() == [
        {"row": 2, "reason": clean.DUPLICATE, "user_id": "u", "item_id": "a", "value": "1"}
    ]


def test_rows_that_differ_in_the_event_are_no_duplicates(make_log: MakeLog) -> None:
    log = make_log([("u", "a", "d", 1), ("u", "a", "d", 1)])
    log = log.with_columns(pl.Series("event", ["view", "buy"]))
    assert clean.flag_duplicates(log)["reason"].null_count() == 2


def test_the_earliest_event_with_an_item_is_kept(make_log: MakeLog) -> None:
    log = make_log([("u", "a", "d", 9), ("u", "a", "d", 3), ("u", "b", "d", 9), ("v", "a", "d", 9)])
    kept, rejected = clean.part(clean.flag_repeats(add_order(log, "shuffle")))
    assert sorted(kept["row"]) == [1, 2, 3]
    assert rejected["row"].to_list() == [0]
    assert rejected["reason"].to_list() == [clean.REPEAT]


def test_the_core_counts_training_events_only(make_log: MakeLog) -> None:
    # b has two events, but one of them trains; without b user v has one training event.
    log = make_log(
        [
            ("u", "a", "d", 1), ("u", "c", "d", 2), ("u", "b", "d", 3), ("v", "b", "d", 1),
            ("v", "a", "d", 2), ("w", "a", "d", 1), ("w", "c", "d", 2), ("w", "h", "d", 3),
        ]
    )  # fmt: skip
    roles = ["train", "train", "test", "train", "train", "train", "train", "hidden"]
    kept, rejected = clean.part(
        clean.flag_outside_core(log.with_columns(pl.Series("role", roles)), 2)
    )
    assert kept["row"].to_list() == [0, 1, 5, 6, 7]
    assert rejected["row"].to_list() == [2, 3, 4]
    assert rejected["reason"].unique().to_list() == [clean.OUTSIDE_CORE]


@settings(deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, unique=True),
    k_core=st.integers(1, 3),
)
def test_the_core_is_the_largest_part_with_enough_events(
    pairs: list[tuple[int, int]], k_core: int
) -> None:
    log = pl.DataFrame(pairs, schema=["user_id", "item_id"], orient="row").cast(pl.String)
    log = log.with_columns(pl.lit("train").alias("role"))
    flagged = clean.flag_outside_core(log, k_core)
    core = set(pairs)
    while True:
        users, items = [user for user, _ in core], [item for _, item in core]
        inside = {
            (user, item)
            for user, item in core
            if users.count(user) >= k_core and items.count(item) >= k_core
        }
        if inside == core:
            break
        core = inside
    # Every event between a user and an item of the core trains, so it is in the core.
    users, items = {user for user, _ in core}, {item for _, item in core}
    expected = [user in users and item in items for user, item in pairs]
    assert flagged["reason"].is_null().to_list() == expected


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
