from collections.abc import Callable

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.steps import clean
from xrec_lightning.data.steps.splits import add_order

MakeLog = Callable[..., pl.DataFrame]


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
