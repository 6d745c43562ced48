"""How large and how dense the fusion graph of a prepared folder is."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from xrec_lightning.data.graph.edges import (
    DOMAIN_NODE,
    ENTITY_NODE,
    ITEM_NODE,
    LABEL,
    LEFT,
    NODE_KINDS,
    RIGHT,
    USER_NODE,
    EdgeType,
    edge_types,
    read_entities,
    scan_edges,
)
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.schema import KIND


@dataclass(frozen=True)
class Degrees:
    """Numbers of edges of the nodes at one end of a kind of edge, of nodes without one too."""

    kind: str
    """Kind of the nodes."""
    least: int
    median: float
    most: int


@dataclass(frozen=True)
class EdgeSummary:
    """The edges of one kind, and of one event where there are several."""

    edge: str
    """Kind of the edges."""
    label: str | None
    """Event; null for all."""
    edges: int
    """Number of pairs of nodes that are joined."""
    density: float
    """Share of all possible pairs."""
    degrees: list[Degrees]
    """Of both ends, once where they are of one kind."""


@dataclass(frozen=True)
class GraphSummary:
    """Nodes and edges of a graph."""

    nodes: dict[str, int]
    """Number of the nodes of each kind that occurs. Entities that are items or tags are those."""
    edges: list[EdgeSummary]


def summarize(prepared: Prepared) -> GraphSummary:
    """Return the numbers of nodes and edges by kind, with degrees and density."""
    counts = prepared.manifest["counts"]
    types = edge_types(prepared)
    entities = read_entities(prepared)
    nodes = {USER_NODE: int(counts["users"]), ITEM_NODE: int(counts["items"])}
    nodes |= {DOMAIN_NODE: len(prepared.domains)}
    nodes |= {ENTITY_NODE: int((entities[KIND] == ENTITY_NODE).sum())}
    for each in types:
        if each.right not in nodes:
            ends = scan_edges(prepared, each).select(pl.col(RIGHT).n_unique())
            nodes[each.right] = int(ends.collect().item())
    # Edges of triples join all entities, whatever node each is.
    sizes = {**nodes, ENTITY_NODE: len(entities)}
    edges = [row for each in types for row in _summarize_edges(prepared, each, sizes)]
    return GraphSummary({kind: nodes[kind] for kind in NODE_KINDS if nodes.get(kind)}, edges)


def _summarize_edges(
    prepared: Prepared, edge_type: EdgeType, sizes: dict[str, int]
) -> list[EdgeSummary]:
    edges = scan_edges(prepared, edge_type)
    summaries = [_summary(edge_type, None, edges, sizes)]
    if (edge_type.left, edge_type.right) == (USER_NODE, ITEM_NODE):
        events = edges.select(pl.col(LABEL).unique().sort()).collect()[LABEL]
        for event in events if len(events) > 1 else ():
            of_event = edges.filter(pl.col(LABEL).eq_missing(pl.lit(event, pl.String)))
            summaries.append(_summary(edge_type, event or "no event", of_event, sizes))
    return summaries


def _summary(
    edge_type: EdgeType, label: str | None, edges: pl.LazyFrame, sizes: dict[str, int]
) -> EdgeSummary:
    left, right = sizes[edge_type.left], sizes[edge_type.right]
    if edge_type.left == edge_type.right:
        lower, higher = pl.min_horizontal(LEFT, RIGHT), pl.max_horizontal(LEFT, RIGHT)
        # Whichever way it is told, a pair is one, and a loop is none.
        edges = edges.filter(pl.col(LEFT) != pl.col(RIGHT))
        pairs = edges.select(lower.alias(LEFT), higher.alias(RIGHT)).unique()
        both = pl.concat([pairs.select(LEFT), pairs.select(pl.col(RIGHT).alias(LEFT))])
        degrees = [_degrees(edge_type.left, both, left)]
        possible = left * (left - 1) // 2
    else:
        pairs = edges.select(LEFT, RIGHT).unique()
        ends = ((edge_type.left, LEFT, left), (edge_type.right, RIGHT, right))
        degrees = [
            _degrees(kind, pairs.select(pl.col(side).alias(LEFT)), size)
            for kind, side, size in ends
        ]
        possible = left * right
    num_edges = int(pairs.select(pl.len()).collect(engine="streaming").item())
    return EdgeSummary(edge_type.name, label, num_edges, num_edges / max(possible, 1), degrees)


def _degrees(kind: str, ends: pl.LazyFrame, num_nodes: int) -> Degrees:
    """Return the degrees of nodes from one end of each of their edges."""
    counts = ends.group_by(LEFT).len().collect(engine="streaming")["len"].to_numpy()
    degrees = np.zeros(max(num_nodes, 1), np.int64)
    degrees[: len(counts)] = counts
    return Degrees(kind, int(degrees.min()), float(np.median(degrees)), int(degrees.max()))
