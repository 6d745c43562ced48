from pathlib import Path

import pytest

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.graph.neighborhood import Neighbor, Node, find_node, neighborhood
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared

Shown = dict[tuple[str, str | None], list[tuple[str, float | None]]]


def shown(place: Neighbor) -> Shown:
    return {
        (group.edge, group.label): [(each.name, each.weight) for each in group.neighbors]
        for group in place.groups
    }


def test_an_item_is_surrounded_by_all_kinds_of_edges(small_graph: Prepared) -> None:
    place = neighborhood(small_graph, Node("item", 1), depth=1, top=5)
    assert (place.kind, place.name, place.title) == ("item", "a", "Green tea")
    assert shown(place) == {
        ("user_item", "buy"): [("u", 6.0), ("v", 3.0)],
        ("user_item", "view"): [("u", 0.5)],
        ("item_item", None): [("b", 4.0), ("c", 1.0)],
        ("item_domain", None): [("tea", 1.0)],
        ("item_tag", None): [("leaf", 1.0)],
        ("entity_entity", "grows_in"): [("Kyoto", 2.0)],
    }


def test_the_weakest_are_cut_off_but_counted(small_graph: Prepared) -> None:
    place = neighborhood(small_graph, Node("item", 1), depth=1, top=1)
    assert shown(place)["item_item", None] == [("b", 4.0)]
    assert next(each.total for each in place.groups if each.edge == "item_item") == 2


def test_farther_nodes_leave_out_where_they_were_reached_from(small_graph: Prepared) -> None:
    place = neighborhood(small_graph, Node("user", 2), depth=2, top=5)
    assert shown(place) == {("user_item", "buy"): [("a", 3.0)]}
    (item,) = place.groups[0].neighbors
    assert shown(item)["user_item", "buy"] == [("u", 6.0)]
    assert not [group for each in item.groups for group in each.neighbors if group.groups]


def test_relations_are_marked_when_seen_from_their_tail(small_graph: Prepared) -> None:
    place = neighborhood(small_graph, Node("item", 1), depth=2, top=5)
    entity = next(each for each in place.groups if each.edge == "entity_entity").neighbors[0]
    assert (entity.kind, entity.name) == ("entity", "Kyoto")
    # Kyoto is itself, and the tag was sold there; the item is where it was reached from.
    assert shown(entity) == {
        ("entity_entity", "is"): [("Kyoto", 1.0)],
        ("entity_entity", "← sold in"): [("leaf", 1.0)],
    }
    tag = next(each for each in place.groups if each.edge == "item_tag").neighbors[0]
    assert shown(tag) == {("entity_entity", "sold in"): [("Kyoto", 1.0)]}


def test_profiles_surround_users(small_graph: Prepared) -> None:
    place = neighborhood(small_graph, Node("user", 1), depth=1, top=5)
    assert shown(place)["user_profile", None] == [("home: Kyoto", 1.0)]


def test_edges_of_a_prepared_folder_are_those_of_its_events(tiny_dataset: Path) -> None:
    prepared = Prepared.open(locate(tiny_dataset))
    node = find_node(prepared, "user", "u03")
    log = prepared.interactions().collect().filter(user_id="u03", split="train")
    items = {
        name for rows in shown(neighborhood(prepared, node, 1, 99)).values() for name, _ in rows
    }
    assert items == set(log["item_id"])


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("user", "u3", r"no user `u3`; did you mean `u\d3`"),
        ("item", "i30", "no item `i30`; did you mean `i23`, `i20`, `i13`"),
        ("item", "kettle", "no item `kettle`; ids look like `i00`, `i01`, `i02`"),
    ],
)
def test_unknown_ids_are_refused(tiny_dataset: Path, kind: str, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_node(Prepared.open(locate(tiny_dataset)), kind, name)
