from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.steps import CleanConfig, SplitConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import prepare
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.steps.cold import Cold
from xrec_lightning.data.steps.cuts import Cuts
from xrec_lightning.data.steps.leaks import refuse_leaks

HEADER = "user_id,item_id,domain,timestamp\n"

MakeConfig = Callable[..., PrepareConfig]
Frames = dict[str, pl.DataFrame]

EVENTS = pl.DataFrame(
    {
        "user_index": [1, 1, 1, 2, 2],
        "item_index": [1, 2, 3, 1, 3],
        "timestamp": [10, 20, 30, 5, 6],
        "order": [10, 20, 30, 5, 6],
        "split": ["train", "val", "test", "train", "test"],
    }
)
HIDDEN = pl.DataFrame({"item_index": [9]})
TARGETS = {
    "val": pl.DataFrame(
        {
            "user_index": [1],
            "item_index": [2],
            "timestamp": [20],
            "history_start": [0],
            "history_end": [1],
            "is_hidden": [False],
        }
    ),
    "test": pl.DataFrame(
        {
            "user_index": [1, 2, 1],
            "item_index": [3, 3, 9],
            "timestamp": [30, 6, 15],
            "history_start": [0, 3, 0],
            "history_end": [2, 4, 1],
            "is_hidden": [False, False, True],
        }
    ),
}
TRAIN_ENDS = np.array([1, 4])


def check(
    events: pl.DataFrame = EVENTS,
    train_ends: np.ndarray = TRAIN_ENDS,
    by_order: bool = False,
    **targets: pl.DataFrame,
) -> None:
    refuse_leaks(events, HIDDEN, train_ends, TARGETS | targets, by_order)


def test_an_honest_split_passes() -> None:
    check()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda: {"events": change(EVENTS, "item_index", 0, 9)}, "hidden item is in a sequence"),
        (lambda: {"events": change(EVENTS, "order", 0, 99)}, "not sorted"),
        (lambda: {"train_ends": np.array([2, 4])}, "not the store's first"),
        (lambda: {"events": change(EVENTS, "timestamp", 0, 20)}, "history reaches its val"),
        (
            lambda: {"test": change(TARGETS["test"], "history_end", 0, 3)},
            "history reaches its test",
        ),
        (lambda: {"test": change(TARGETS["test"], "history_end", 1, 3)}, "another user's"),
        (lambda: {"test": change(TARGETS["test"], "history_start", 1, 2)}, "another user's"),
        (
            lambda: {"val": change(TARGETS["val"], "item_index", 0, 9)},
            "hidden item is a val target",
        ),
    ],
)
def test_every_broken_rule_is_named(change: Callable[[], Frames], rule: str) -> None:
    with pytest.raises(AssertionError, match=rule):
        check(**change())


def test_training_after_the_target_is_refused() -> None:
    events = change(EVENTS, "split", 1, "train")
    with pytest.raises(AssertionError, match="training event is not earlier than the val target"):
        check(events, np.array([2, 4]))


def test_file_order_allows_equal_times_only() -> None:
    events = change(EVENTS, "timestamp", 0, 20)
    cold = TARGETS["test"].filter(pl.col("item_index") != 9)
    check(events, by_order=True, test=cold)
    with pytest.raises(AssertionError, match="history reaches"):
        check(change(EVENTS, "timestamp", 0, 21), by_order=True, test=cold)


NOBODY = Cold(np.arange(10) == 9, np.zeros(3, bool), np.zeros(3, bool), None)
DOMAINS = pl.Series("domain_index", [1, 2, 2, 1, 2])


def check_cold(
    cold: Cold, events: pl.DataFrame = EVENTS, cuts: Cuts | None = None, **targets: pl.DataFrame
) -> None:
    changed = {
        name: rows.with_columns(pl.lit(1).alias("domain_index"))
        for name, rows in (TARGETS | targets).items()
    }
    events = events.with_columns(DOMAINS)
    refuse_leaks(events, HIDDEN, TRAIN_ENDS, changed, by_order=False, cold=cold, cuts=cuts)


def test_honest_cold_protocols_pass() -> None:
    check_cold(NOBODY)
    check_cold(NOBODY._replace(domain_users=np.arange(3) == 2, domain=3))


@pytest.mark.parametrize(
    ("cold", "targets", "rule"),
    [
        (NOBODY._replace(users=np.arange(3) == 2), {}, "an event of a cold user trains"),
        (NOBODY._replace(items=np.arange(10) == 2), {}, "hidden item is in a sequence"),
        (
            NOBODY._replace(domain_users=np.arange(3) == 1, domain=2),
            {},
            "an event of a hidden domain is in the sequence",
        ),
        (NOBODY._replace(items=np.zeros(10, bool)), {}, "test target is hidden and not marked so"),
        (
            NOBODY,
            {"val": pl.concat([TARGETS["val"], TARGETS["test"][2:]])},
            "hidden item or domain is a val target",
        ),
    ],
)
def test_every_broken_rule_of_a_cold_protocol_is_named(
    cold: Cold, targets: Frames, rule: str
) -> None:
    with pytest.raises(AssertionError, match=rule):
        check_cold(cold, **targets)


def test_cold_users_are_not_validated() -> None:
    events = change(EVENTS, "split", 0, "history")
    cold = NOBODY._replace(users=np.arange(3) == 1)
    changed = {name: rows.with_columns(domain_index=1) for name, rows in TARGETS.items()}
    events = events.with_columns(DOMAINS)
    ends = np.array([0, 4])
    with pytest.raises(AssertionError, match="a cold user has a val target"):
        refuse_leaks(events, HIDDEN, ends, changed, by_order=False, cold=cold)
    changed["val"] = changed["val"].clear()
    refuse_leaks(events, HIDDEN, ends, changed, by_order=False, cold=cold)


@pytest.mark.parametrize(
    ("cuts", "rule"),
    [
        (Cuts(10, 30), "training event is not earlier than the validation window"),
        (Cuts(11, 20), "val target is outside its window"),
        (Cuts(11, 31), "test target is outside its window"),
        (Cuts(11, 25, 30), "an event behind the windows is in a sequence"),
    ],
)
def test_every_broken_window_is_named(cuts: Cuts, rule: str) -> None:
    one_user = TARGETS["test"].filter(pl.col("user_index") == 1)
    check_cold(NOBODY, cuts=Cuts(11, 25, 31), test=one_user)
    check_cold(NOBODY, cuts=Cuts(11, 25), test=one_user)
    with pytest.raises(AssertionError, match=rule):
        check_cold(NOBODY, cuts=cuts, test=one_user)


def test_a_shard_has_its_own_base_and_first_user() -> None:
    moved = {
        name: rows.with_columns(
            pl.col("user_index") + 7, pl.col("history_start", "history_end") + 100
        )
        for name, rows in TARGETS.items()
    }
    events = EVENTS.with_columns(pl.col("user_index") + 7)
    place = {"base": 100, "first_user": 8}
    refuse_leaks(events, HIDDEN, TRAIN_ENDS + 100, moved, by_order=False, **place)
    with pytest.raises(AssertionError, match="not the store's first"):
        refuse_leaks(events, HIDDEN, TRAIN_ENDS + 101, moved, by_order=False, **place)


def change(frame: pl.DataFrame, column: str, row: int, value: int | str) -> pl.DataFrame:
    values = frame[column].to_list()
    values[row] = value
    return frame.with_columns(pl.Series(column, values))


LOGS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(0, 8)), min_size=20, max_size=60
)


@given(
    events=LOGS,
    method=st.sampled_from(["leave_one_out", "last_n", "ratio", "global_time"]),
    share=st.sampled_from([0.0, 0.3]),
    repeats=st.sampled_from(["drop", "keep"]),
    k_core=st.sampled_from([0, 2]),
    seed=st.integers(0, 2),
)
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_nothing_is_seen_before_its_time(
    make_config: MakeConfig,
    events: list[tuple[int, int, int]],
    method: str,
    share: float,
    repeats: str,
    k_core: int,
    seed: int,
) -> None:
    log = HEADER + "".join(f"u{user},i{item},{'xy'[item % 2]},{at}\n" for user, item, at in events)
    items = "item_id,domain,title\n" + "".join(f"i{i},{'xy'[i % 2]},T{i}\n" for i in range(8))
    config = make_config(
        log,
        items,
        split=SplitConfig(method=method, cold_items=share, val_share=0.2, test_share=0.2),
        clean=CleanConfig(repeats=repeats, k_core=k_core),
        seed=seed,
    )
    try:
        folder = prepare(config)
    except InputError as error:
        # Small logs may lack a part.
        assert "the split has no" in str(error) or "k_core" in str(error)  # noqa: PT017
        return
    check_against_brute_force(Prepared.open(folder))


def check_against_brute_force(prepared: Prepared) -> None:
    """Compare histories, seen items and counts with what the interactions themselves say."""
    rows = prepared.interactions().collect().rows(named=True)
    hidden = set(prepared.items().filter("is_hidden")["item_index"])
    assert not hidden & set(prepared.item_ids.tolist())
    train = [row for row in rows if row["split"] == "train"]
    counts = [
        sum(row["item_index"] == item for row in train)
        for item in range(1, len(prepared.items()) + 1)
    ]
    assert prepared.items()["train_count"].to_list() == counts
    assert prepared.graph("user_item")["count"].sum() == len(train)
    for split in ("val", "test"):
        for target in prepared.targets(split).rows(named=True):
            own = [row for row in rows if row["user_index"] == target["user_index"]]
            warm = [row for row in own if row["item_index"] not in hidden]
            start, end = target["history_start"], target["history_end"]
            earlier = [row for row in warm if row["timestamp"] < target["timestamp"]]
            assert earlier
            assert sorted(prepared.item_ids[start:end]) == sorted(r["item_index"] for r in earlier)
            assert all(prepared.times[start:end] < target["timestamp"])
            seen = {*prepared.item_ids[start : target["seen_end"]].tolist(), *target["extra_seen"]}
            by_then = {r["item_index"] for r in own if r["timestamp"] <= target["timestamp"]}
            assert seen | {target["item_index"]} == by_then
            if target["item_index"] not in hidden:
                trained = [row["timestamp"] for row in own if row["split"] == "train"]
                assert all(each < target["timestamp"] for each in trained)
            else:
                assert split == "test"
