from collections.abc import Callable

import numpy as np
import polars as pl

from xrec_lightning.data.steps import manifest

MakeEvents = Callable[..., pl.DataFrame]


def test_ties_are_those_within_a_user(make_events: MakeEvents) -> None:
    log = make_events([(1, 1, 1), (1, 2, 2), (1, 3, 2), (2, 1, 3), (2, 2, 3), (2, 3, 4), (3, 1, 2)])
    # The last two of user 1 share their time, those of user 2 do not, user 3 has one event.
    ties = manifest.count_ties(log)
    assert ties == manifest.Ties(users=2, tied_users=1, rows=7, tied_rows=4)
    parts = [manifest.count_ties(log.filter(pl.col("user_index") == user)) for user in (1, 2, 3)]
    expected = {"last_event_share": 0.5, "rows": 4, "rows_share": 0.5714}
    assert manifest.describe_ties([ties]) == manifest.describe_ties(parts) == expected
    assert manifest.count_ties(log.clear()) == manifest.Ties(0, 0, 0, 0)


def make_shard(make_events: MakeEvents, rows: list[tuple[int, int, int]]) -> manifest.ShardCounts:
    log = make_events(rows, domains=[item for _, item, _ in rows])
    log = log.with_columns(pl.Series("split", ["train", "test", "train", "unused"][: len(rows)]))
    index = {"domain_index": pl.Int32, "slice_cold": pl.Boolean}
    targets = {
        "val": pl.DataFrame(schema=index),
        "test": pl.DataFrame({"domain_index": [2], "slice_cold": [True]}, schema=index),
    }
    return manifest.count_shard(log, targets, 3, np.array([False, True, False]))


def test_shards_add_up_to_the_whole(make_events: MakeEvents) -> None:
    first = make_shard(make_events, [(1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 1, 3)])
    second = make_shard(make_events, [(3, 1, 1)])
    items = pl.DataFrame(
        {"domains": [["x"], ["x", "y"]], "text": ["Tea", None], "is_hidden": [False, True]}
    )
    users = pl.DataFrame({"text": [None, "old", None]})
    facts = manifest.describe([first, second], items, users, ["x", "y", "z"])
    assert facts["counts"] == {
        "users": 3, "items": 2, "hidden_items": 1, "items_without_text": 1,
        "users_without_text": 2, "interactions": 5, "train": 3, "val": 0, "test": 1, "unused": 1,
        "hidden": 0, "history": 0, "val_targets": 0, "test_targets": 2, "cold_test_targets": 2,
    }  # fmt: skip
    assert facts["domain_overlap"] == {
        "x": {"x": 3, "y": 2, "z": 0},
        "y": {"x": 2, "y": 2, "z": 0},
        "z": {"x": 0, "y": 0, "z": 0},
    }
    assert facts["by_domain"]["x"] == {
        "users": 3, "interactions": 3, "train": 2, "items": 2, "text_coverage": 0.5,
        "val_targets": 0, "test_targets": 0,
    }  # fmt: skip
    assert facts["by_domain"]["y"]["test_targets"] == 2
    assert facts["by_domain"]["z"]["items"] == 0
    assert facts["text_coverage"] == {"items": 0.5, "interactions": 0.6}


def test_reasons_are_counted() -> None:
    rejected = pl.LazyFrame({"reason": ["b", "a", "b"]})
    assert manifest.count_reasons(rejected) == {"a": 1, "b": 2}
