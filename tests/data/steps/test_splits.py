from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.config.steps import SplitConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.steps.splits import add_order, assign_roles, mark_targets, sort_flat

MakeLog = Callable[..., pl.DataFrame]
LEAVE_ONE_OUT = SplitConfig()


def roles(log: pl.DataFrame, config: SplitConfig) -> dict[str, str]:
    """Return the role of each item; items are unique in these logs."""
    rows = assign_roles(add_order(log, config.ties), config).select("item_id", "role")
    return dict(rows.iter_rows())


def flat(log: pl.DataFrame, config: SplitConfig = LEAVE_ONE_OUT, seed: int = 0) -> pl.DataFrame:
    rows = assign_roles(add_order(log, config.ties), config)
    indexed = rows.with_columns(
        pl.col("user_id").rank("dense").cast(pl.Int32).alias("user_index"),
        pl.col("item_id").rank("dense").cast(pl.Int32).alias("item_index"),
    )
    return mark_targets(sort_flat(indexed, seed), config)


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
