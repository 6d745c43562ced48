import polars as pl
import pytest

from xrec_lightning import schema
from xrec_lightning.data.steps.targets import make_targets

DAY = 86_400
COLUMNS = ["user_index", "item_index", "domain_index", "timestamp", "split"]


def frame(rows: list[tuple[int, int, int, int, str]]) -> pl.DataFrame:
    events = pl.DataFrame(rows, schema=COLUMNS, orient="row").cast(
        dict.fromkeys(COLUMNS[:3], pl.Int32)
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
COUNTS = pl.DataFrame(
    {"item_index": [1, 2, 3, 4, 5, 6, 7, 8], "train_count": [2, 1, 0, 4, 16, 0, 0, 0]},
    schema={"item_index": pl.Int32, "train_count": pl.Int32},
)


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
    assert marked(test, 6) == {"cold", "history_short", "overlap"}
    val = make_targets(EVENTS, HIDDEN, "val", COUNTS)
    assert marked(val, 4) == {"warm", "mid", "history_short", "overlap"}


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
