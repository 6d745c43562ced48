from collections import Counter

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
        (1, 3, "buy", 1),
        (1, 3, "view", 2),
        (2, 1, "buy", 1),
    ]


def test_user_item_edges_without_events_have_none() -> None:
    edges = graph.user_item_edges(train([(1, 3), (1, 3)]))
    assert edges.columns == ["user_index", "item_index", "event", "count"]
    assert edges.rows() == [(1, 3, None, 2)]


def test_items_co_occur_within_the_window_of_one_user() -> None:
    log = train([(1, 5), (1, 2), (1, 7), (1, 2), (2, 5), (2, 2)])
    # distance 1: 5-2, 2-7, 7-2, 5-2 of user 2; distance 2: 5-7 (2-2 is one item).
    assert graph.item_item_edges(log, 1).rows() == [(2, 5, 2), (2, 7, 2)]
    assert graph.item_item_edges(log, 2).rows() == [(2, 5, 2), (2, 7, 2), (5, 7, 1)]
    assert graph.item_item_edges(log, 0).rows() == []


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
