import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning import schema
from xrec_lightning.data.steps.targets import count_training, make_targets

DAY = 86_400
COLUMNS = ["user_index", "item_index", "domain_index", "timestamp", "split"]
BOUNDS = ("history_start", "history_end", "seen_end")


def frame(rows: list[tuple[int, int, int, int, str]]) -> pl.DataFrame:
    events = pl.DataFrame(
        rows,
        schema={**dict.fromkeys(COLUMNS[:3], pl.Int32), "timestamp": pl.Int64, "split": pl.String},
        orient="row",
    )
    return events.with_columns(pl.col("timestamp").alias("order"))


EVENTS = frame(
    [
        (1, 1, 1, 10, "train"),
        (1, 2, 1, 20, "train"),
        (1, 3, 2, 30, "unused"),
        (1, 4, 2, 30, "val"),
        (1, 5, 1, DAY, "test"),
        (2, 1, 1, 5, "train"),
        (2, 2, 1, 7, "test"),
    ]
)
HIDDEN = frame(
    [
        (1, 8, 1, 5, "hidden"),  # nothing before it
        (1, 7, 2, 20, "hidden"),  # shares its time with item 2
        (2, 6, 2, 6, "hidden"),
        (2, 7, 2, 7, "hidden"),
    ]
)
COUNTS = np.array([0, 2, 1, 0, 4, 16, 0, 0, 0])
"""Training events by item_index."""


def rows(targets: pl.DataFrame, *columns: str) -> list[tuple[object, ...]]:
    return targets.select(columns).rows()


def test_histories_end_before_the_basket_of_the_target() -> None:
    val = make_targets(EVENTS, HIDDEN, "val", COUNTS)
    bounds = ("user_index", "item_index", "history_start", "history_end", "seen_end")
    assert rows(val, *bounds) == [(1, 4, 0, 2, 4)]
    test = make_targets(EVENTS, HIDDEN.clear(), "test", COUNTS)
    assert rows(test, *bounds) == [(1, 5, 0, 4, 5), (2, 2, 5, 6, 7)]


def test_hidden_events_are_tested_from_their_strictly_earlier_history() -> None:
    test = make_targets(EVENTS, HIDDEN, "test", COUNTS)
    hidden = test.filter(pl.col("item_index") > 5)
    bounds = ("user_index", "item_index", "history_start", "history_end", "seen_end")
    assert rows(hidden, *bounds) == [(1, 7, 0, 1, 2), (2, 6, 5, 6, 6), (2, 7, 5, 6, 7)]


def test_hidden_items_taken_by_then_are_no_candidates() -> None:
    test = make_targets(EVENTS, HIDDEN, "test", COUNTS)
    seen = {
        (user, item): extra
        for user, item, extra in rows(test, "user_index", "item_index", "extra_seen")
    }
    assert seen == {(1, 5): [7, 8], (2, 2): [6, 7], (1, 7): [8], (2, 6): [], (2, 7): [6]}
    assert test.schema["extra_seen"] == pl.List(pl.Int32)
    val = make_targets(EVENTS, HIDDEN, "val", COUNTS)
    assert val["extra_seen"].to_list() == [[7, 8]]
    assert make_targets(EVENTS, HIDDEN.clear(), "val", COUNTS)["extra_seen"].to_list() == [[]]


def marked(targets: pl.DataFrame, item: int) -> set[str]:
    row = targets.filter(pl.col("item_index") == item).row(0, named=True)
    return {name for name in schema.SLICES if row[schema.slice_column(name)]}


def test_slices_say_what_the_target_is() -> None:
    test = make_targets(EVENTS, HIDDEN, "test", COUNTS)
    assert marked(test, 5) == {"warm", "head", "history_short", "overlap", "later_day"}
    assert marked(test, 2) == {"warm", "tail", "history_short", "single_domain"}
    assert marked(test, 6) == {"cold", "history_short", "overlap", "cold_domain"}
    val = make_targets(EVENTS, HIDDEN, "val", COUNTS)
    assert marked(val, 4) == {"warm", "mid", "history_short", "overlap", "cold_domain"}


@pytest.mark.parametrize(
    ("length", "name"),
    [(4, "history_short"), (5, "history_medium"), (19, "history_medium"), (20, "history_long")],
)
def test_history_lengths_count_items(length: int, name: str) -> None:
    history = [(1, 1, 1, time, "train") for time in range(length)]
    events = frame([*history, (1, 2, 1, length, "test")])
    test = make_targets(events, events.clear(), "test", COUNTS)
    assert {each for each in marked(test, 2) if each.startswith("history")} == {name}


def test_indices_and_positions_have_their_types() -> None:
    dtypes = make_targets(EVENTS, HIDDEN, "test", COUNTS).schema
    assert [dtypes[name] for name in COLUMNS[:4]] == [pl.Int32] * 3 + [pl.Int64]
    assert dtypes["history_end"] == dtypes["history_start"] == dtypes["seen_end"] == pl.Int64


def test_positions_start_at_the_base_of_the_shard() -> None:
    names = ["history_start", "history_end", "seen_end"]
    alone, shifted = (make_targets(EVENTS, HIDDEN, "test", COUNTS, base) for base in (0, 1000))
    assert shifted.select(pl.col(names) - 1000).equals(alone.select(names))
    assert shifted.drop(names).equals(alone.drop(names))


def test_targets_are_by_user_hidden_ones_last() -> None:
    test = make_targets(EVENTS, HIDDEN, "test", COUNTS)
    expected = [(1, 5, False), (1, 7, True), (2, 2, False), (2, 6, True), (2, 7, True)]
    assert rows(test, "user_index", "item_index", "is_hidden") == expected


def test_users_without_training_events_are_cold() -> None:
    events = frame([(1, 1, 1, 10, "history"), (1, 2, 1, 20, "test"), (2, 1, 1, 5, "train")])
    events = pl.concat([events, frame([(2, 2, 1, 7, "test")])])
    test = make_targets(events, events.clear(), "test", COUNTS)
    assert test["slice_cold_user"].to_list() == [True, False]


def test_training_events_are_counted_by_item() -> None:
    assert count_training(EVENTS, 6).tolist() == [0, 2, 1, 0, 0, 0]


@settings(deadline=None)
@given(
    events=st.lists(
        st.tuples(
            st.integers(1, 3),
            st.integers(1, 5),
            st.integers(1, 3),
            st.integers(0, 6),
            st.sampled_from(["train", "val", "test", "unused"]),
        )
    ),
    hidden=st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), st.integers(0, 6))
    ),
)
def test_targets_are_what_the_events_say(events: list[tuple], hidden: list[tuple]) -> None:
    events = sorted(events, key=lambda row: (row[0], row[3]))
    hidden = sorted(((*row, "hidden") for row in hidden), key=lambda row: (row[0], row[3]))
    targets = make_targets(frame(events), frame(hidden), "test", np.arange(6))
    expected = []
    for user, item, domain, time, split in events + hidden:
        own = [place for place, row in enumerate(events) if row[0] == user]
        before = [place for place in own if events[place][3] < time]
        if split not in ("test", "hidden") or not before:
            continue
        by_then = sum(events[place][3] <= time for place in own)
        extra = {row[1] for row in hidden if row[0] == user and row[3] <= time} - {item}
        domains = {events[place][2] for place in before}
        ends = (own[0], own[0] + len(before), own[0] + by_then)
        marks = (split == "hidden", bool(domains - {domain}), domain not in domains)
        expected.append((user, item, domain, time, *ends, sorted(extra), *marks))
    slices = ("slice_overlap", "slice_cold_domain")
    found = rows(targets, *COLUMNS[:4], *BOUNDS, "extra_seen", "is_hidden", *slices)
    assert found == sorted(expected, key=lambda row: row[0])
