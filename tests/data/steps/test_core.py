from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.data.steps import core as core_module
from xrec_lightning.data.steps.clean import OUTSIDE_CORE, part
from xrec_lightning.data.steps.cold import Cold
from xrec_lightning.data.steps.core import core_masks, flag_outside_core, training_pairs

MakeEvents = Callable[..., pl.DataFrame]
ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 2)))


@settings(deadline=None)
@given(rows=ROWS, by_group=st.booleans(), k_core=st.integers(1, 3), chunk=st.integers(1, 9))
def test_the_core_is_the_largest_part_with_enough_events(
    rows: list[tuple[int, int, int]], by_group: bool, k_core: int, chunk: int
) -> None:
    left = [(user, group if by_group else 0, item) for user, item, group in rows]
    while True:
        users = [(user, group) for user, group, _ in left]
        items = [item for _, _, item in left]
        inside = [
            row for row in left if users.count(row[:2]) >= k_core and items.count(row[2]) >= k_core
        ]
        if len(inside) == len(left):
            break
        left = inside
    columns = np.array(rows, dtype=np.int32).reshape(-1, 3).T
    sizes = {"num_users": 5, "num_items": 6, "num_groups": 3 if by_group else 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core_module, "_CHUNK", chunk)
        groups = columns[2] if by_group else None
        core = core_masks(columns[0], columns[1], groups, k_core, **sizes)
    expected = np.zeros_like(core.users)
    for user, group, _ in left:
        expected[user, group] = True
    assert core.users.tolist() == expected.tolist()
    assert set(np.flatnonzero(core.items)) == {item for _, _, item in left}


def test_only_training_events_count(make_events: MakeEvents) -> None:
    log = make_events([(0, 1, 1), (0, 2, 2), (1, 1, 1)])
    log = log.with_columns(pl.Series("role", ["train", "val", "train"]))
    pairs = training_pairs(log, by_domain=True)
    assert pairs.users.tolist() == [0, 1]
    assert pairs.items.tolist() == [1, 1]
    assert pairs.groups is not None
    assert pairs.groups.tolist() == [1, 1]
    assert training_pairs(log, by_domain=False).groups is None


def test_events_outside_the_core_are_dropped_hidden_and_cold_ones_not(
    make_events: MakeEvents,
) -> None:
    # Items 0 and 1 and user 0 are in the core; item 3 is hidden, user 2 cold.
    log = make_events([(0, 0, 1), (0, 2, 2), (0, 3, 3), (1, 0, 1), (1, 3, 2), (2, 0, 1), (2, 2, 2)])
    roles = ["train", "val", "hidden", "train", "hidden", "history", "test"]
    log = log.with_columns(pl.Series("role", roles))
    core = core_module.Core(
        np.array([[True], [False], [False]]), np.array([True, True, False, False])
    )
    cold = Cold(
        np.array([False, False, False, True]),
        np.array([False, False, True]),
        np.zeros(3, bool),
        None,
    )
    kept, rejected = part(flag_outside_core(log, core, cold))
    assert kept["row"].to_list() == [0, 2, 5]
    assert rejected["reason"].unique().to_list() == [OUTSIDE_CORE]
    kept, _ = part(flag_outside_core(log.filter(pl.col("item_index") < 3), core))
    assert kept["row"].to_list() == [0]


def test_by_domain_a_hidden_domain_stays_where_its_user_does(make_events: MakeEvents) -> None:
    log = make_events([(0, 0, 1), (0, 1, 2), (1, 0, 1), (1, 1, 2), (2, 1, 1)])
    log = log.with_columns(pl.Series("role", ["train", "test", "train", "hidden", "hidden"]))
    users = np.array([[True, False], [True, False], [False, False]])
    core = core_module.Core(users, np.array([True, True]))
    cold = Cold(np.zeros(2, bool), np.zeros(3, bool), np.array([False, True, True]), 1)
    kept, _ = part(flag_outside_core(log, core, cold))
    assert kept["row"].to_list() == [0, 2, 3]
