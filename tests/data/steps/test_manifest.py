from collections.abc import Callable

import polars as pl

from xrec_lightning.data.steps import manifest

MakeLog = Callable[..., pl.DataFrame]


def test_ties_are_those_within_a_user(make_log: MakeLog) -> None:
    log = make_log(
        [
            ("u", "a", "d", 1), ("u", "b", "d", 2), ("u", "c", "d", 2), ("v", "a", "d", 3),
            ("v", "b", "d", 3), ("v", "c", "d", 4), ("w", "a", "d", 2),
        ]
    )  # fmt: skip
    # u's last two share their time, v's do not, w has one event; 4 of 7 rows are tied.
    assert manifest.count_ties(log) == {"last_event_share": 0.5, "rows": 4, "rows_share": 0.5714}


def test_overlap_is_symmetric_and_holds_every_domain(make_log: MakeLog) -> None:
    log = make_log([("u", "a", "x", 1), ("u", "b", "y", 2), ("v", "b", "y", 2), ("v", "c", "y", 3)])
    assert manifest.count_overlap(log, ["x", "y", "z"]) == {
        "x": {"x": 1, "y": 1, "z": 0},
        "y": {"x": 1, "y": 2, "z": 0},
        "z": {"x": 0, "y": 0, "z": 0},
    }


def test_domains_are_counted(make_log: MakeLog) -> None:
    log = make_log([("u", "a", "x", 1), ("u", "b", "y", 2), ("v", "b", "y", 2)])
    log = log.with_columns(pl.Series("split", ["train", "test", "train"]))
    items = pl.DataFrame({"domains": [["x"], ["x", "y"]], "text": ["Tea", None]})
    index = {"domain_index": pl.Int32}
    targets = {
        "val": pl.DataFrame({"domain_index": []}, schema=index),
        "test": pl.DataFrame({"domain_index": [2]}, schema=index),
    }
    assert manifest.count_by_domain(log, items, targets, ["x", "y"]) == {
        "x": {
            "users": 1, "interactions": 1, "train": 1, "items": 2, "text_coverage": 0.5,
            "val_targets": 0, "test_targets": 0,
        },
        "y": {
            "users": 2, "interactions": 2, "train": 1, "items": 1, "text_coverage": 0.0,
            "val_targets": 0, "test_targets": 1,
        },
    }  # fmt: skip


def test_text_coverage_weighs_items_and_interactions(make_log: MakeLog) -> None:
    log = make_log([("u", "a", "x", 1), ("v", "a", "x", 2), ("u", "b", "x", 2), ("w", "a", "x", 2)])
    items = pl.DataFrame({"item_id": ["a", "b"], "text": ["Tea", None]})
    assert manifest.text_coverage(items, log) == {"items": 0.5, "interactions": 0.75}


def test_reasons_are_counted() -> None:
    rejected = pl.DataFrame({"reason": ["b", "a", "b"]})
    assert manifest.count_reasons(rejected) == {"a": 1, "b": 2}


def test_sizes_are_counted() -> None:
    interactions = pl.DataFrame({"split": ["train", "train", "test", "hidden", "unused"]})
    items = pl.DataFrame({"is_hidden": [True, False], "text": [None, "Tea"]})
    users = pl.DataFrame({"text": [None]}, schema={"text": pl.String})
    targets = {
        "val": pl.DataFrame({"slice_cold": []}, schema={"slice_cold": pl.Boolean}),
        "test": pl.DataFrame({"slice_cold": [True, False]}),
    }
    assert manifest.count_all(interactions, items, users, targets) == {
        "users": 1, "items": 2, "hidden_items": 1, "items_without_text": 1,
        "users_without_text": 1, "interactions": 5, "train": 2, "val": 0, "test": 1, "unused": 1,
        "hidden": 1, "history": 0, "val_targets": 0, "test_targets": 2, "cold_test_targets": 1,
    }  # fmt: skip
