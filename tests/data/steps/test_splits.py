from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning import schema
from xrec_lightning.data.config.steps import SplitConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.steps import order as indexed
from xrec_lightning.data.steps.cold import Cold
from xrec_lightning.data.steps.cuts import Cuts, find_cuts, needed_times
from xrec_lightning.data.steps.splits import (
    mark_roles,
    mark_targets,
    part_hidden,
)

MakeLog = Callable[..., pl.DataFrame]
LEAVE_ONE_OUT = SplitConfig()


def roles(log: pl.DataFrame, config: SplitConfig) -> dict[str, str]:
    return dict(flat(log, config).select("item_id", "role").iter_rows())


def flat(log: pl.DataFrame, config: SplitConfig = LEAVE_ONE_OUT, seed: int = 0) -> pl.DataFrame:
    codes = pl.col("user_id", "item_id").rank("dense").cast(pl.Int32)
    log = log.with_columns(codes.name.replace("_id", "_index"))
    events = indexed.sort_flat(indexed.add_order(log, config.ties), seed)
    cuts = find_cuts([needed_times(events, config)], config)
    return mark_targets(mark_roles(events, config, cuts), config)


def test_last_time_tests_and_last_but_one_validates(make_log: MakeLog) -> None:
    log = make_log(
        [
            ("u", "e", "d", 30), ("u", "a", "d", 10), ("u", "d", "d", 20), ("u", "c", "x", 20),
            ("u", "b", "d", 11), ("u", "f", "x", 30),
        ]
    )  # fmt: skip
    expected = {"a": "train", "b": "train", "c": "val", "d": "val", "e": "test", "f": "test"}
    assert roles(log, LEAVE_ONE_OUT) == expected


def test_short_users_keep_training_then_test(make_log: MakeLog) -> None:
    log = make_log([("u", "a", "d", 1), ("u", "b", "d", 1), ("v", "c", "d", 1), ("v", "e", "d", 2)])
    assert roles(log, LEAVE_ONE_OUT) == {"a": "train", "b": "train", "c": "train", "e": "test"}


def test_one_event_of_a_basket_is_the_target(make_log: MakeLog) -> None:
    log = make_log(
        [
            ("u", "a", "d", 1), ("u", "b", "d", 2), ("u", "c", "d", 2), ("u", "e", "d", 3),
            ("u", "f", "d", 3), ("u", "g", "d", 3),
        ]
    )  # fmt: skip
    events = flat(log)
    assert events["split"].to_list() == ["train", "unused", "val", "unused", "unused", "test"]
    assert events["timestamp"].to_list() == [1, 2, 2, 3, 3, 3]


def test_every_event_of_a_basket_is_the_target_under_some_seed(make_log: MakeLog) -> None:
    log = make_log([("u", "a", "d", 1), *(("u", item, "d", 2) for item in "bcd")])
    found = {
        flat(log, seed=seed).filter(pl.col("split") == "test")["item_id"].item()
        for seed in range(30)
    }
    assert found == {"b", "c", "d"}


def test_ties_do_not_depend_on_the_order_of_the_rows(make_log: MakeLog) -> None:
    log = make_log([("u", item, "d", 1 + (item > "d")) for item in "abcdefgh"])
    backwards = make_log(log.reverse().select("user_id", "item_id", "domain", "timestamp").rows())
    assert flat(log)["item_id"].to_list() == flat(backwards)["item_id"].to_list()
    assert flat(log)["item_id"].to_list() != list("abcdefgh")


def test_file_ties_follow_the_file(make_log: MakeLog) -> None:
    config = SplitConfig(ties="file")
    log = make_log([("u", item, "d", 1) for item in "dbca"])
    assert flat(log, config)["item_id"].to_list() == list("dbca")
    assert flat(log, config)["split"].to_list() == ["train", "train", "val", "test"]


def test_last_n_takes_all_events_of_n_times(make_log: MakeLog) -> None:
    config = SplitConfig(method="last_n", n=2)
    log = make_log([("u", "abcdefgh"[i], "d", [1, 2, 3, 3, 4, 5, 5, 6][i]) for i in range(8)])
    assert "".join(roles(log, config)[each][0] for each in "abcdefgh") == "tt" + "vvv" + "ttt"
    assert flat(log, config)["split"].to_list() == ["train"] * 2 + ["val"] * 3 + ["test"] * 3


def test_ratio_takes_shares_of_the_times(make_log: MakeLog) -> None:
    config = SplitConfig(method="ratio", val_share=0.25, test_share=0.4)
    log = make_log([("u", item, "d", time) for time, item in enumerate("abcdefgh")])
    # 0.4 of 8 times are 3, 0.25 are 2.
    expected = ["train"] * 3 + ["val"] * 2 + ["test"] * 3
    assert [roles(log, config)[each] for each in "abcdefgh"] == expected


def test_ratio_gives_every_user_a_target_if_it_can(make_log: MakeLog) -> None:
    log = make_log([("u", item, "d", time) for time, item in enumerate("abc")])
    assert list(roles(log, SplitConfig(method="ratio")).values()) == ["train", "val", "test"]


def test_global_time_cuts_all_users_at_once(make_log: MakeLog) -> None:
    config = SplitConfig(method="global_time", val_from=20, test_from="1970-01-01T00:00:30")
    log = make_log(
        [
            ("u", "a", "d", 19), ("u", "b", "d", 20), ("u", "c", "d", 30), ("v", "e", "d", 20),
            ("v", "f", "d", 20), ("v", "g", "d", 29), ("w", "h", "d", 40),
        ]
    )  # fmt: skip
    events = flat(log, config)
    splits = dict(events.select("item_id", "split").iter_rows())
    # e, f and h have nothing before them: they are no targets.
    assert splits == {
        "a": "train",
        "b": "val",
        "c": "test",
        "e": "unused",
        "f": "unused",
        "g": "val",
        "h": "unused",
    }


def test_global_time_takes_shares_of_the_events(make_log: MakeLog) -> None:
    config = SplitConfig(method="global_time", val_share=0.2, test_share=0.3)
    log = make_log([("u", str(time), "d", time) for time in range(10)])
    assert list(roles(log, config).values()) == ["train"] * 5 + ["val"] * 2 + ["test"] * 3


def test_cuts_that_are_no_times_are_refused(make_log: MakeLog) -> None:
    log = make_log([("u", "a", "d", 1)])
    for val_from, test_from in (("soon", 5), (5, 5)):
        config = SplitConfig(method="global_time", val_from=val_from, test_from=test_from)
        with pytest.raises(InputError, match=f"split.val_from: {val_from}"):
            roles(log, config)


METHODS = st.sampled_from(["leave_one_out", "last_n", "ratio", "global_time"])


@settings(deadline=None)
@given(
    method=METHODS,
    events=st.lists(st.tuples(st.sampled_from("uvw"), st.integers(0, 9)), min_size=1, max_size=30),
    n=st.integers(1, 3),
    seed=st.integers(0, 3),
)
def test_training_is_strictly_earlier_than_every_target(
    make_log: MakeLog, method: str, events: list[tuple[str, int]], n: int, seed: int
) -> None:
    log = make_log([(user, str(row), "d", time) for row, (user, time) in enumerate(events)])
    rows = flat(log, SplitConfig(method=method, n=n), seed)
    assert len(rows) == len(events)
    for (user,), each in rows.group_by("user_id"):
        times = {name: part["timestamp"] for (name,), part in each.group_by("split")}
        for earlier, later in (("train", "val"), ("train", "test"), ("val", "test")):
            if earlier in times and later in times:
                assert times[earlier].max() < times[later].min(), (user, earlier, later)
        if method == "leave_one_out":
            assert (each["split"] == "test").sum() == (each["timestamp"].n_unique() > 1)
            assert (each["split"] == "val").sum() == (each["timestamp"].n_unique() > 2)


def split(
    log: pl.DataFrame,
    config: SplitConfig,
    cuts: Cuts | None = None,
    cold: Cold | None = None,
    seed: int = 0,
) -> pl.DataFrame:
    events = indexed.sort_flat(indexed.add_order(log, config.ties), seed)
    events, hidden = part_hidden(mark_roles(events, config, cuts, cold))
    return mark_targets(pl.concat([events, hidden]), config)


def of_items(events: pl.DataFrame, column: str) -> dict[int, str]:
    return dict(events.select("item_index", column).sort("item_index").iter_rows())


ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 9)))


@settings(deadline=None)
@given(
    rows=ROWS,
    method=st.sampled_from(["leave_one_out", "last_n", "ratio"]),
    n=st.integers(1, 3),
    shares=st.sampled_from([(0.1, 0.1), (0.0, 0.3), (0.4, 0.25)]),
)
def test_roles_count_the_distinct_times_of_a_user(
    make_events: MakeLog,
    rows: list[tuple[int, int, int]],
    method: str,
    n: int,
    shares: tuple[float, float],
) -> None:
    config = SplitConfig(method=method, n=n, val_share=shares[0], test_share=shares[1])
    log = indexed.sort_flat(indexed.add_order(make_events(rows), "shuffle"), 0)
    for user, time, role in (
        mark_roles(log, config).select("user_index", "timestamp", "role").iter_rows()
    ):
        times = sorted({at for each, _, at in rows if each == user})
        lengths = {
            "leave_one_out": (1, 1),
            "last_n": (n, n),
            "ratio": [max(round(share * len(times)), int(share > 0)) for share in shares[::-1]],
        }[method]
        test = min(lengths[0], len(times) - 1)
        val = min(lengths[1], len(times) - 1 - test)
        names = ["train"] * (len(times) - test - val) + ["val"] * val + ["test"] * test
        assert role == names[times.index(time)]


def test_cuts_give_roles_to_all_users(make_events: MakeLog) -> None:
    log = make_events([(0, 0, 19), (0, 1, 20), (0, 2, 29), (1, 3, 30), (1, 4, 99)])
    config = SplitConfig(method="global_time")
    roles_of = of_items(split(log, config, Cuts(20, 30)), "role")
    assert list(roles_of.values()) == ["train", "val", "val", "test", "test"]
    # Item 3 has nothing before it.
    splits = of_items(split(log, config, Cuts(20, 30)), "split")
    assert list(splits.values()) == ["train", "val", "val", "unused", "test"]


def test_no_event_of_a_cold_user_trains(make_events: MakeLog) -> None:
    log = make_events([(user, 5 * user + n, n) for user in (0, 1) for n in range(5)])
    cold = Cold(np.zeros(10, bool), np.array([False, True]), np.zeros(2, bool), None)
    events = split(log, LEAVE_ONE_OUT, cold=cold)
    assert events["role"].to_list() == ["train"] * 3 + ["val", "test"] + ["history"] * 4 + ["test"]
    assert events["split"].to_list() == events["role"].to_list()
    once = split(make_events([(1, 5, 5)]), LEAVE_ONE_OUT, cold=cold)
    assert once["split"].to_list() == ["history"]


def test_hidden_items_and_domains_have_no_part_in_the_times(make_events: MakeLog) -> None:
    # Domain 1 is hidden for user 0, item 8 for all.
    log = make_events(
        [(0, 0, 1), (0, 2, 2), (0, 4, 3), (0, 1, 4), (0, 8, 5), (1, 6, 1), (1, 3, 2), (1, 8, 3)]
    )
    cold = Cold(np.arange(9) == 8, np.zeros(2, bool), np.array([True, False]), 1)
    events = split(log, LEAVE_ONE_OUT, cold=cold)
    store = events.filter(pl.col("split") != "hidden")
    assert store["split"].to_list() == ["train", "val", "test", "train", "test"]
    assert events["item_index"].to_list() == [0, 2, 4, 6, 3, 1, 8, 8]
    assert events["role"].to_list()[5:] == ["hidden"] * 3


def test_nothing_hidden_leaves_the_store_as_it_is(make_events: MakeLog) -> None:
    log = indexed.add_order(make_events([(0, 0, 1), (0, 1, 2)]), "shuffle")
    store, hidden = part_hidden(mark_roles(log, LEAVE_ONE_OUT))
    assert store["role"].to_list() == ["train", "test"]
    assert (len(hidden), hidden.columns) == (0, store.columns)
    assert store.schema["role"] == schema.SPLIT_DTYPE
