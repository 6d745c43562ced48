from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.data.stable_hash import Stream, stable_hash
from xrec_lightning.data.steps.order import add_order, flat_keys, sort_flat

MakeEvents = Callable[..., pl.DataFrame]
FAR = 2**61


def flat(log: pl.DataFrame, ties: str = "shuffle", seed: int = 0) -> pl.DataFrame:
    return sort_flat(add_order(log, ties), seed)


@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(0, 3),
            st.sampled_from([-FAR, 1, 2, 3, FAR]),
            st.sampled_from([None, 1.0, 2.0]),
        )
    ),
    seed=st.integers(0, 3),
    data=st.data(),
)
def test_the_order_is_by_user_time_hash_and_content(
    make_events: MakeEvents, rows: list[tuple], seed: int, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(rows))))
    log = make_events([row[:3] for row in rows], rating=[row[3] for row in rows])

    def key(row: dict) -> tuple:
        user, item = np.array([row["user_index"]]), np.array([row["item_index"]])
        tie = int(stable_hash(seed, Stream.TIES, user, item)[0])
        rating = -1.0 if row["rating"] is None else row["rating"]
        return row["user_index"], row["timestamp"], tie, rating, row["row"]

    expected = sorted(log.to_dicts(), key=key)
    assert flat(log[order], seed=seed).drop("order").to_dicts() == expected


def test_equal_times_are_shuffled_by_the_seed(make_events: MakeEvents) -> None:
    log = make_events([(0, item, 5) for item in range(4)])
    orders = [tuple(flat(log, seed=seed)["item_index"]) for seed in range(200)]
    assert len(set(orders)) == 24
    assert orders[0] == tuple(flat(log.reverse())["item_index"])


def test_file_ties_follow_the_files(make_events: MakeEvents) -> None:
    log = make_events([(1, 3, 5), (0, 9, 7), (0, 2, 5), (0, 4, 5), (0, 1, 5)])
    rows = flat(log[[4, 3, 2, 1, 0]], ties="file")
    assert rows.select("user_index", "item_index").rows() == [
        (0, 2),
        (0, 4),
        (0, 1),
        (0, 9),
        (1, 3),
    ]
    assert rows["order"].to_list() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("far", [10, FAR])
def test_keys_sort_by_user_then_by_order(far: int) -> None:
    users = np.array([7, 3, 2**31 - 1, 3, 7], dtype=np.int32)
    orders = np.array([-far, far, 0, -far, far])
    keys = flat_keys(users, orders)
    expected = sorted(range(5), key=lambda row: (users[row], orders[row]))
    assert np.argsort(keys).tolist() == expected
    assert len(set(keys.tolist())) == 5


def test_no_rows_are_sorted(make_events: MakeEvents) -> None:
    assert len(flat(make_events([]))) == 0
