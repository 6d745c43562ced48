from collections import Counter
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.steps import graph


def train(rows: list[tuple[int, int]], events: list[str] | None = None) -> pl.DataFrame:
    frame = pl.DataFrame(
        rows, schema={"user_index": pl.Int32, "item_index": pl.Int32}, orient="row"
    )
    return frame if events is None else frame.with_columns(pl.Series("event", events))


def test_user_item_edges_count_each_kind_of_event() -> None:
    log = train([(2, 1), (1, 3), (1, 3), (1, 3)], ["buy", "view", "buy", "view"])
    assert graph.user_item_edges(log).rows() == [
        (1, 3, "buy", 1, 1.0),
        (1, 3, "view", 2, 2.0),
        (2, 1, "buy", 1, 1.0),
    ]


def test_user_item_edges_without_events_have_none() -> None:
    edges = graph.user_item_edges(train([(1, 3), (1, 3)]))
    assert edges.columns == ["user_index", "item_index", "event", "count", "weight"]
    assert edges.rows() == [(1, 3, None, 2, 2.0)]
    assert graph.user_item_edges(train([])).schema == edges.schema


def test_weights_of_rows_and_of_events_multiply_and_add_up() -> None:
    log = train([(1, 3), (1, 3), (1, 3), (2, 3)], ["buy", "view", "buy", "buy"])
    log = log.with_columns(pl.Series("weight", [0.5, 2.0, None, 1.0], pl.Float32))
    assert graph.user_item_edges(log, {"buy": 4.0}).rows() == [
        (1, 3, "buy", 2, 6.0),
        (1, 3, "view", 1, 2.0),
        (2, 3, "buy", 1, 4.0),
    ]


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 3), st.sampled_from([None, "a", "b"])),
        max_size=12,
    )
)
def test_user_item_edges_equal_brute_force(log: list[tuple[int, int, str | None]]) -> None:
    rows = train([row[:2] for row in log]).with_columns(
        pl.Series("event", [row[2] for row in log], pl.String)
    )
    expected = Counter(log)
    edges = graph.user_item_edges(rows).rows()
    assert {row[:3]: row[3] for row in edges} == expected
    keys = [(user, item, event or "") for user, item, event, *_ in edges]
    assert keys == sorted(keys)


def test_items_co_occur_within_the_window_of_one_user() -> None:
    log = train([(1, 5), (1, 2), (1, 7), (1, 2), (2, 5), (2, 2)])
    # distance 1: 5-2, 2-7, 7-2, 5-2 of user 2; distance 2: 5-7 (2-2 is one item).
    assert graph.item_item_edges(log, 1).rows() == [(2, 5, 2), (2, 7, 2)]
    assert graph.item_item_edges(log, 2).rows() == [(2, 5, 2), (2, 7, 2), (5, 7, 1)]
    assert graph.item_item_edges(log, 0).rows() == []
    # A window that no history fills takes no longer.
    assert graph.item_item_edges(log, 2**31).rows() == graph.item_item_edges(log, 3).rows()


@given(
    log=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), max_size=20),
    window=st.integers(0, 4),
)
def test_co_occurrence_equals_brute_force(log: list[tuple[int, int]], window: int) -> None:
    log = sorted(log, key=lambda row: row[0])
    expected: Counter[tuple[int, int]] = Counter()
    for left, (user, item) in enumerate(log):
        for other_user, other in log[left + 1 : left + 1 + window]:
            if user == other_user and item != other:
                expected[min(item, other), max(item, other)] += 1
    edges = graph.item_item_edges(train(log), window)
    assert {(left, right): count for left, right, count in edges.rows()} == expected


def test_keys_of_many_items_are_as_good_as_narrow_ones() -> None:
    high = 2**31 - 1
    log = train([(1, high), (1, 70_000), (1, high), (1, 1)])
    assert graph.item_item_edges(log, 1).rows() == [(1, high, 1), (70_000, high, 2)]


LOG = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 5)), max_size=30)


@given(log=LOG, cuts=st.sets(st.integers(1, 6)), max_rows=st.integers(1, 20))
def test_shards_merged_by_ranges_equal_the_whole(
    log: list[tuple[int, int]], cuts: set[int], max_rows: int
) -> None:
    rows = train(sorted(log, key=lambda row: row[0]))
    bounds = [0, *sorted(cuts), 7]
    shards = [
        graph.item_item_edges(rows.filter(pl.col("user_index").is_between(low, high - 1)), 2)
        for low, high in pairwise(bounds)
    ]
    counts = sum(graph.rows_by_left(shard, 5) for shard in shards)
    left_bounds = graph.left_bounds(counts, max_rows)
    ranges = zip(*(graph.split_by_left(shard, left_bounds) for shard in shards), strict=True)
    merged = [graph.merge_edges(parts) for parts in ranges]
    assert pl.concat(merged).equals(graph.item_item_edges(rows, 2))
    assert graph.merge_edges(shards).equals(graph.item_item_edges(rows, 2))


@pytest.mark.parametrize(("left", "count"), [(2**23, 1), (2**31 - 2, 1), (2**31 - 2, 1000)])
def test_edges_of_many_items_are_merged_whole_or_by_halves(left: int, count: int) -> None:
    high = 2**31 - 1
    part = pl.DataFrame(
        {"left_index": [1, left], "right_index": [high, high], "count": [1, count]},
        schema=dict.fromkeys(("left_index", "right_index", "count"), pl.Int32),
    )
    assert graph.merge_edges([part, part]).rows() == [(1, high, 2), (left, high, 2 * count)]


def test_no_edges_are_merged_into_none() -> None:
    empty = graph.item_item_edges(train([]), 2)
    assert graph.merge_edges([empty, empty]).equals(empty)
    assert graph.merge_edges([]).schema == empty.schema


def test_ranges_hold_as_many_edges_as_asked_and_one_item_more() -> None:
    rows = np.array([0, 3, 3, 0, 5, 1, 1])
    # 3 + 3 edges of items 1 and 2, 5 of items 3 and 4, 1 each of items 5 and 6.
    assert graph.left_bounds(rows, 4) == [3, 5, 6]
    assert graph.left_bounds(rows, 100) == []


ITEMS = pl.DataFrame(
    {
        "item_index": [1, 2, 3],
        "domains": [["tea"], ["pots", "tea"], ["pots"]],
        "categories": ["Green, Leaf,,Green", None, " "],
        "tags": [["new"], ["Leaf"], []],
        "brand": ["Ours ", "", None],
    },
    schema_overrides={"item_index": pl.Int32},
)


def test_items_belong_to_each_of_their_domains() -> None:
    assert graph.item_domain_edges(ITEMS).rows() == [
        (1, "tea"),
        (2, "pots"),
        (2, "tea"),
        (3, "pots"),
    ]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["categories"], [(1, "Green"), (1, "Leaf")]),
        (["categories", "tags"], [(1, "Green"), (1, "Leaf"), (1, "new"), (2, "Leaf")]),
        ([], []),
    ],
)
def test_tags_are_split_trimmed_and_each_once(
    columns: list[str], expected: list[tuple[int, str]]
) -> None:
    edges = graph.item_tag_edges(ITEMS, columns, ",")
    assert edges.rows() == expected
    assert edges.schema == {"item_index": pl.Int32, "tag": pl.String}


def test_every_level_of_a_path_is_a_tag() -> None:
    items = pl.DataFrame(
        {"item_index": [1, 2], "path": ["Food > Tea > Green, Gifts", "Food"]},
        schema_overrides={"item_index": pl.Int32},
    )
    assert graph.item_tag_edges(items, ["path"], ",", " > ").rows() == [
        (1, "Food"),
        (1, "Gifts"),
        (1, "Green"),
        (1, "Tea"),
        (2, "Food"),
    ]


def test_only_items_with_a_brand_have_an_edge() -> None:
    assert graph.item_brand_edges(ITEMS, "brand").rows() == [(1, "Ours")]
    assert graph.item_brand_edges(ITEMS, None).rows() == []


def test_profiles_are_one_edge_a_field() -> None:
    users = pl.DataFrame({"user_index": [1, 2], "age": [65, None], "home": ["Owner", "Renter"]})
    users = users.with_columns(pl.col("user_index").cast(pl.Int32))
    assert graph.user_profile_edges(users, ["home", "age"]).rows() == [
        (1, "age", "65"),
        (1, "home", "Owner"),
        (2, "home", "Renter"),
    ]
    assert graph.user_profile_edges(users, []).rows() == []


def test_each_value_of_a_list_in_a_profile_is_an_edge() -> None:
    users = pl.DataFrame(
        {"user_index": [1, 2], "likes": [["tea", "jam"], []]},
        schema_overrides={"user_index": pl.Int32},
    )
    assert graph.user_profile_edges(users, ["likes"]).rows() == [
        (1, "likes", "jam"),
        (1, "likes", "tea"),
    ]
