from dataclasses import replace
from pathlib import Path

from xrec_lightning.data.graph.edges import EDGE_TYPES, edge_types, read_entities, scan_edges
from xrec_lightning.data.prepared import Prepared


def test_every_kind_is_read_alike(small_graph: Prepared) -> None:
    kinds = edge_types(small_graph)
    assert [each.name for each in kinds] == [each.name for each in EDGE_TYPES]
    rows = {each.name: scan_edges(small_graph, each).collect() for each in kinds}
    assert {tuple(each.columns) for each in rows.values()} == {("left", "right", "label", "weight")}
    assert rows["user_item"].row(0) == (1, 1, "buy", 6.0)
    assert rows["item_item"].row(0) == (1, 2, None, 4.0)
    assert rows["item_tag"].row(0) == (1, "leaf", None, 1.0)
    assert rows["user_profile"].row(0) == (1, "home: Kyoto", None, 1.0)
    assert rows["entity_entity"].row(1) == (2, 1, "grows_in", 2.0)


def test_kinds_without_a_file_are_not_listed(small_graph: Prepared, tmp_path: Path) -> None:
    nothing = replace(small_graph, folder=tmp_path)
    assert edge_types(nothing) == []
    assert read_entities(nothing).schema == read_entities(small_graph).schema
    assert read_entities(nothing).is_empty()
