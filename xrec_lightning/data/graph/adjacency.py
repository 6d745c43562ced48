"""The fusion graph as sparse matrices over one space of nodes."""

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, diags_array
from torch import Tensor

from xrec_lightning.data.errors import InputError, suggest
from xrec_lightning.data.graph.edges import (
    DOMAIN_NODE,
    ENTITY_NODE,
    INDEXED_KINDS,
    ITEM_NODE,
    LABEL,
    LEFT,
    NODE_KINDS,
    RIGHT,
    TAG_NODE,
    USER_NODE,
    EdgeType,
    edge_types,
    read_entities,
    scan_edges,
)
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.steps.triples import NAME
from xrec_lightning.schema import ITEM_INDEX, KIND, WEIGHT

Ints = NDArray[np.integer]


@dataclass(frozen=True)
class NodeSpace:
    """All nodes of a graph in one row: padding, then the nodes kind by kind.

    The ``i``-th node of a kind, from 1, is node ``offsets[kind] + i``; user and item indices are
    such, and users come first, so that a user index is a node.
    """

    sizes: dict[str, int]
    """Number of nodes of each kind."""
    names: dict[str, pl.Series]
    """Names of the nodes that have no index of their own, sorted, by kind."""
    entity_nodes: Ints
    """Node of each entity index: of an item, of a tag, or its own; shape ``(entities + 1,)``."""

    @property
    def offsets(self) -> dict[str, int]:
        """The node before the first of each kind."""
        ends = np.cumsum([0, *self.sizes.values()]).tolist()
        return dict(zip(self.sizes, ends, strict=False))

    @property
    def num_nodes(self) -> int:
        """Number of nodes, padding among them."""
        return sum(self.sizes.values()) + 1

    def nodes(self, kind: str, ends: pl.Series) -> Ints:
        """Return the nodes at one end of edges."""
        if kind == ENTITY_NODE:
            return self.entity_nodes[ends.to_numpy()]
        if kind in INDEXED_KINDS:
            return ends.to_numpy().astype(np.int64) + self.offsets[kind]
        codes = ends.cast(pl.Enum(self.names[kind])).to_physical().to_numpy()
        return codes.astype(np.int64) + self.offsets[kind] + 1


class Adjacency(NamedTuple):
    """A symmetric matrix of edges and what its rows are. N nodes."""

    matrix: csr_array
    """Float32, shape ``(N, N)``."""
    space: NodeSpace

    def to_tensor(self) -> Tensor:
        """Return the matrix as a sparse CSR tensor."""
        with warnings.catch_warnings():
            # torch calls its CSR tensors a beta at the first one of a process.
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
            return torch.sparse_csr_tensor(
                torch.from_numpy(self.matrix.indptr),
                torch.from_numpy(self.matrix.indices),
                torch.from_numpy(self.matrix.data),
                size=self.matrix.shape,
                check_invariants=True,
            )


def read_node_space(prepared: Prepared) -> NodeSpace:
    """Return the nodes of all edges of a prepared folder."""
    counts = prepared.manifest["counts"]
    names = {kind: _names(prepared, kind) for kind in NODE_KINDS if kind not in INDEXED_KINDS}
    entities = read_entities(prepared)
    own = entities[KIND].to_numpy() == ENTITY_NODE
    sizes = {USER_NODE: int(counts["users"]), ITEM_NODE: int(counts["items"])}
    sizes |= {kind: len(each) for kind, each in names.items()}
    sizes[ENTITY_NODE] = int(own.sum())
    space = NodeSpace(sizes, names, np.zeros(len(entities) + 1, np.int64))
    nodes = space.entity_nodes
    is_item, is_tag = (pl.col(KIND) == kind for kind in (ITEM_NODE, TAG_NODE))
    nodes[1:][own] = np.arange(1, own.sum() + 1) + space.offsets[ENTITY_NODE]
    for kind, rows, column in ((ITEM_NODE, is_item, ITEM_INDEX), (TAG_NODE, is_tag, NAME)):
        found = entities.filter(rows)
        nodes[found["entity_index"].to_numpy()] = space.nodes(kind, found[column])
    return space


def read_adjacency(
    prepared: Prepared,
    kinds: Sequence[str],
    *,
    events: Collection[str] | None = None,
    is_weighted: bool = True,
    is_normalized: bool = False,
) -> Adjacency:
    """Return edges of some kinds as one symmetric matrix.

    Args:
        prepared: A prepared data set.
        kinds: Names of kinds of edges, such as `user_item`.
        events: Types of the events between users and items; all when None.
        is_weighted: Whether an entry is the summed weight of its edges; if not, it is 1.
        is_normalized: Whether an entry is divided by the roots of the sums of its row and column
            (He et al., 2020, arXiv:2002.02126); weights count by their size.

    Raises:
        InputError: If a kind has no edges in this data set.
    """
    space = read_node_space(prepared)
    known = {each.name: each for each in edge_types(prepared)}
    for kind in kinds:
        if kind not in known:
            raise InputError(f"{prepared.folder}: no edges `{kind}`; {suggest(kind, known)}")
    parts = [_read_entries(prepared, known[kind], space, events) for kind in kinds]
    rows, columns, weights = (np.concatenate(each) for each in zip(*parts, strict=True))
    is_loop = rows == columns
    ends = [np.concatenate([rows, columns[~is_loop]]), np.concatenate([columns, rows[~is_loop]])]
    values = np.concatenate([weights, weights[~is_loop]])
    shape = (space.num_nodes, space.num_nodes)
    matrix = coo_array((values, tuple(ends)), shape=shape).tocsr()
    if not is_weighted:
        matrix.data[:] = 1.0
    return Adjacency(_normalize(matrix) if is_normalized else matrix, space)


def _read_entries(
    prepared: Prepared, edge_type: EdgeType, space: NodeSpace, events: Collection[str] | None
) -> tuple[Ints, Ints, NDArray[np.float32]]:
    edges = scan_edges(prepared, edge_type)
    if events is not None and edge_type.left == USER_NODE and edge_type.right == ITEM_NODE:
        edges = edges.filter(pl.col(LABEL).is_in(list(events)))
    rows = edges.collect()
    return (
        space.nodes(edge_type.left, rows[LEFT]),
        space.nodes(edge_type.right, rows[RIGHT]),
        rows[WEIGHT].to_numpy(),
    )


def _names(prepared: Prepared, kind: str) -> pl.Series:
    """Return the names of the nodes of a kind: those at the ends of its edges, sorted."""
    if kind == DOMAIN_NODE:
        return pl.Series(prepared.domains, dtype=pl.String).sort()
    edge_type = {each.right: each for each in edge_types(prepared)}.get(kind)
    if edge_type is None:
        return pl.Series(dtype=pl.String)
    return scan_edges(prepared, edge_type).select(pl.col(RIGHT).unique().sort()).collect()[RIGHT]


def _normalize(matrix: csr_array) -> csr_array:
    degrees = np.asarray(abs(matrix).sum(axis=1), np.float64)
    roots = np.zeros_like(degrees)
    np.power(degrees, -0.5, out=roots, where=degrees > 0)
    scale = diags_array(roots)
    return (scale @ matrix @ scale).tocsr().astype(np.float32)
