from pathlib import Path

import pytest

from xrec_lightning.data.graph.summary import Degrees, EdgeSummary, summarize
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared


def test_nodes_are_counted_by_kind(small_graph: Prepared) -> None:
    assert summarize(small_graph).nodes == {
        "user": 2,
        "item": 3,
        "domain": 2,
        "tag": 2,
        "brand": 1,
        "profile": 1,
        "entity": 1,
    }


def test_edges_are_counted_by_kind_and_event(small_graph: Prepared) -> None:
    users = [Degrees("user", 1, 1.5, 2), Degrees("item", 0, 1.0, 2)]
    buys = [Degrees("user", 1, 1.0, 1), Degrees("item", 0, 0.0, 2)]
    views = [Degrees("user", 0, 1.0, 2), Degrees("item", 0, 1.0, 1)]
    by_kind = {(each.edge, each.label): each for each in summarize(small_graph).edges}
    # The view and the purchase of one item by one user join one pair.
    assert by_kind["user_item", None] == EdgeSummary("user_item", None, 3, 0.5, users)
    assert by_kind["user_item", "buy"] == EdgeSummary("user_item", "buy", 2, 1 / 3, buys)
    assert by_kind["user_item", "view"] == EdgeSummary("user_item", "view", 2, 1 / 3, views)
    items = [Degrees("item", 1, 1.0, 2)]
    assert by_kind["item_item", None] == EdgeSummary("item_item", None, 2, 2 / 3, items)
    brand = [Degrees("item", 0, 0.0, 1), Degrees("brand", 1, 1.0, 1)]
    assert by_kind["item_brand", None] == EdgeSummary("item_brand", None, 1, 1 / 3, brand)


def test_loops_of_entities_join_no_pair(small_graph: Prepared) -> None:
    (row,) = (each for each in summarize(small_graph).edges if each.edge == "entity_entity")
    assert (row.edges, row.density) == (2, pytest.approx(2 / 3))
    assert row.degrees == [Degrees("entity", 1, 1.0, 2)]


def test_a_log_of_one_event_has_one_row_of_users_and_items(tiny_dataset: Path) -> None:
    prepared = Prepared.open(locate(tiny_dataset))
    summary = summarize(prepared)
    assert summary.nodes == {"user": 24, "item": 30, "domain": 2, "brand": 3}
    rows = [each for each in summary.edges if each.edge == "user_item"]
    assert [each.label for each in rows] == [None]
    train = prepared.interactions().collect().filter(split="train")
    assert rows[0].edges == len(train.unique(["user_id", "item_id"]))
