"""What surrounds a user or an item in the fusion graph."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NamedTuple

import polars as pl

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.graph.edges import (
    ENTITY_NODE,
    ITEM_NODE,
    LABEL,
    LEFT,
    RIGHT,
    TAG_NODE,
    USER_NODE,
    EdgeType,
    edge_types,
    read_entities,
    scan_edges,
)
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.steps.triples import ENTITY_INDEX, NAME
from xrec_lightning.schema import (
    ITEM_ID,
    ITEM_INDEX,
    KIND,
    TITLE,
    USER_ID,
    WEIGHT,
)

_EXAMPLES = 3
_LOOKED_AT = 5000
"""Ids on each side of the place of an unknown one that are compared with it."""
_Around = dict[tuple[str, str | None], tuple[int, list[tuple["Node", float]]]]
"""Number of a node's edges by kind and label, and the other ends and weights of some."""


class Node(NamedTuple):
    """A node of the graph."""

    kind: str
    """User, item, domain, tag, brand, profile or entity."""
    key: int | str
    """Its index, or its name where it has none."""


def find_node(prepared: Prepared, kind: str, name: str) -> Node:
    """Return the node of a user or an item by its id.

    Raises:
        InputError: If there is none; the message names ids that are near.
    """
    rows = prepared.users()[USER_ID] if kind == USER_NODE else prepared.items()[ITEM_ID]
    index = rows.index_of(name)
    if index is None:
        raise InputError(f"{prepared.folder}: no {kind} `{name}`; {_near(name, rows)}")
    return Node(kind, index + 1)


@dataclass
class Group:
    """Edges of one node that are alike."""

    edge: str
    """Kind of the edges, such as `user_item`."""
    label: str | None
    """Event or relation."""
    total: int
    """Number of such edges, with that to the node from which this one was reached."""
    neighbors: list["Neighbor"]
    """The other ends of the strongest of them."""


@dataclass
class Neighbor:
    """A node beside another one, and what surrounds it."""

    kind: str
    """Kind of the node."""
    name: str
    """Its id or name."""
    title: str | None = None
    """What people call it."""
    weight: float | None = None
    """Of the edge to it."""
    groups: list[Group] = field(default_factory=list)
    """What surrounds it, without the node that it was reached from."""


def neighborhood(prepared: Prepared, center: Node, depth: int, top: int) -> Neighbor:
    """Return a node and what surrounds it.

    Args:
        prepared: A prepared data set.
        center: The node.
        depth: Edges between it and the farthest nodes.
        top: Neighbors by edge kind and label, those of the largest weights first.
    """
    names = _Names(prepared)
    root = names.describe(center, None)
    # Each node with the one that it was reached from, and its place in the result.
    frontier: Sequence[tuple[Node, Node | None, Neighbor]] = [(center, None, root)]
    for _ in range(depth):
        nodes = list(dict.fromkeys(node for node, *_ in frontier))
        edges = _read_edges(prepared, nodes, names, top + 1)
        following = []
        for node, parent, place in frontier:
            for (edge, label), (total, rows) in edges.get(node, {}).items():
                ends = [(other, weight) for other, weight in rows if other != parent][:top]
                shown = [(other, names.describe(other, weight)) for other, weight in ends]
                if shown:
                    place.groups.append(Group(edge, label, total, [each for _, each in shown]))
                following += [(other, node, each) for other, each in shown]
        frontier = following
    return root


class _Names:
    """Ids, names and titles of nodes, and the nodes that entities are."""

    def __init__(self, prepared: Prepared) -> None:
        self.items = prepared.items().select(ITEM_ID, TITLE)
        self.users = prepared.users()[USER_ID]
        self.entities = read_entities(prepared)

    def describe(self, node: Node, weight: float | None) -> Neighbor:
        name, title = str(node.key), None
        if node.kind == ITEM_NODE:
            name, title = self.items.row(int(node.key) - 1)
        elif node.kind == USER_NODE:
            name = self.users[int(node.key) - 1]
        elif node.kind == ENTITY_NODE:
            name = self.entities[NAME][int(node.key) - 1]
        return Neighbor(node.kind, name, title, weight)

    def ends(self, nodes: Sequence[Node], kind: str) -> list[int | str]:
        """Return which ends of edges that join nodes of a kind are ``nodes``."""
        if kind != ENTITY_NODE:
            return [node.key for node in nodes if node.kind == kind]
        columns = {ITEM_NODE: ITEM_INDEX, TAG_NODE: NAME, ENTITY_NODE: ENTITY_INDEX}
        found = []
        for node_kind, column in columns.items():
            keys = [node.key for node in nodes if node.kind == node_kind]
            is_one = (pl.col(KIND) == node_kind) & pl.col(column).is_in(keys)
            found += self.entities.filter(is_one)[ENTITY_INDEX].to_list() if keys else []
        return found

    def node(self, kind: str, end: int | str) -> Node:
        """Return the node at an end of an edge that joins nodes of a kind."""
        if kind != ENTITY_NODE:
            return Node(kind, end)
        row = self.entities.row(int(end) - 1, named=True)
        keys = {ITEM_NODE: row[ITEM_INDEX], TAG_NODE: row[NAME], ENTITY_NODE: end}
        return Node(row[KIND], keys[row[KIND]])


def _read_edges(
    prepared: Prepared, nodes: Sequence[Node], names: _Names, top: int
) -> dict[Node, _Around]:
    """Return the edges of ``nodes`` by kind and label: number, and the ends of the strongest."""
    found: dict[Node, _Around] = {}
    for edge_type in edge_types(prepared):
        for kind, other_kind, rows in _read_sides(prepared, edge_type, nodes, names):
            place = pl.int_range(pl.len()).over(LEFT, LABEL)
            total = pl.len().over(LEFT, LABEL).alias("total")
            order = rows.sort([-pl.col(WEIGHT), RIGHT]).with_columns(total).filter(place < top)
            for end, other, label, weight, count in order.sort(LABEL, maintain_order=True).rows():
                around = found.setdefault(names.node(kind, end), {})
                _, ends = around.setdefault((edge_type.name, label), (count, []))
                ends.append((names.node(other_kind, other), weight))
    return found


def _read_sides(
    prepared: Prepared, edge_type: EdgeType, nodes: Sequence[Node], names: _Names
) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Yield the kind of ``nodes``, that of the other ends, and the edges, turned to begin there."""
    edges = scan_edges(prepared, edge_type)
    begin = edges.filter(pl.col(LEFT).is_in(names.ends(nodes, edge_type.left)))
    finish = edges.filter(pl.col(RIGHT).is_in(names.ends(nodes, edge_type.right)))
    turned = finish.select(pl.col(RIGHT).alias(LEFT), pl.col(LEFT).alias(RIGHT), LABEL, WEIGHT)
    if edge_type.left == edge_type.right:
        # Seen from the other end, a relation is another one, and a loop is no second edge.
        label = pl.concat_str(pl.lit("← "), LABEL).alias(LABEL)
        turned = turned.filter(pl.col(LEFT) != pl.col(RIGHT)).with_columns(label)
        yield edge_type.left, edge_type.right, pl.concat([begin, turned]).collect()
    else:
        yield edge_type.left, edge_type.right, begin.collect()
        yield edge_type.right, edge_type.left, turned.collect()


def _near(name: str, ids: pl.Series) -> str:
    """Return a remark that names ids like ``name``, looked for among those of like length."""
    length = ids.str.len_chars().cast(pl.Int64)
    alike = ids.filter((length - len(name)).abs() <= 1).sort()
    at = int(alike.search_sorted(name))
    around = alike.slice(max(at - _LOOKED_AT, 0), 2 * _LOOKED_AT).to_list()
    near = get_close_matches(name, around, n=_EXAMPLES)
    listed = ", ".join(f"`{each}`" for each in near or ids.head(_EXAMPLES))
    return f"did you mean {listed}?" if near else f"ids look like {listed}"
