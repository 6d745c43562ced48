"""The `graph` channel: items that the fusion graph connects with the history."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.knowledge.propagation import normalized_adjacency, propagate
from xrec_lightning.models.channels.base import Phrase, normalize
from xrec_lightning.models.channels.knowledge import whitened_vectors
from xrec_lightning.models.channels.linear import LinearChannel, MemoryChannelConfig

EVENTS = "events"
"""Name of the edges between users and the items of their training events."""


@dataclass(frozen=True, kw_only=True)
class GraphChannelConfig(MemoryChannelConfig):
    """Settings of a `GraphChannel`."""

    dim: int = 128
    """Width of the knowledge vectors after whitening."""
    num_layers: int = 2
    """Steps along the edges; from item to item over a user or a tag are two."""
    self_weight: float = 0.1
    """Weight of an item's own knowledge vector; that of each step is 1, which spreads it thinly."""
    relations: list[str] | None = None
    """Kinds of edges: `events` (users and the items of their training events), `item_tag`,
    `item_brand`, `entity_entity` (knowledge triples); all that the data set has by default."""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_layers < 1:
            raise ValueError(
                f"GraphChannelConfig.num_layers is {self.num_layers}: set it to 1 or more; without "
                "steps it is the knowledge channel"
            )
        if self.self_weight < 0:
            raise ValueError(
                f"GraphChannelConfig.self_weight is {self.self_weight}: set it to 0 or more"
            )

    @override
    def build(self, catalog: Catalog) -> "GraphChannel":
        return GraphChannel(self, catalog)


torch.serialization.add_safe_globals([GraphChannelConfig])


class GraphChannel(LinearChannel):
    """Compare items by knowledge vectors that were propagated over the fusion graph.

    Users, tags, brands and entities have no vector of their own but that of their neighbors. An
    item without edges keeps its knowledge vector, and one without text has that of its neighbors:
    cold items need no special case.
    """

    name = "graph"
    phrase = Phrase("shares people or properties with", "near the history in people and properties")

    def __init__(self, config: GraphChannelConfig, catalog: Catalog) -> None:
        own = normalize(whitened_vectors(catalog, config.dim))
        edges, num_nodes = fused_graph(catalog, config.relations)
        nodes = torch.cat([own, own.new_zeros(num_nodes - len(own), own.size(1))])
        adjacency = normalized_adjacency(edges, num_nodes)
        spread = propagate(adjacency, nodes, config.num_layers, config.self_weight)[: len(own)]
        has_edges = torch.zeros(num_nodes, dtype=torch.bool).index_fill(0, edges.flatten(), True)
        vectors = torch.where(has_edges[: len(own), None], normalize(spread), own)
        super().__init__(config, catalog, vectors, is_trainable=config.is_trainable)


class FusedGraph(NamedTuple):
    """Edges of several kinds over one space of nodes, of which ``1..N`` are the items."""

    edges: Tensor
    """Both nodes of each edge, int64, shape ``(2, E)``."""
    num_nodes: int


def fused_graph(catalog: Catalog, relations: list[str] | None = None) -> FusedGraph:
    """Return the edges of some kinds, or of all that there are.

    Raises:
        ValueError: If the data set has none of a kind.
    """
    known = _known_edges(catalog)
    if not known:
        raise ValueError("the graph channel needs edges, and the data have none: leave it out")
    missing = [name for name in relations or known if name not in known]
    if missing:
        raise ValueError(
            f"GraphChannelConfig.relations: the data set has no edges `{missing[0]}`; it has: "
            f"{', '.join(known)}"
        )
    edges = torch.cat([known[name] for name in relations or known], dim=1)
    return FusedGraph(edges, 1 + max(catalog.num_items, int(edges.max())))


def _known_edges(catalog: Catalog) -> Mapping[str, Tensor]:
    """Return all edges by their kind; users come after all other nodes."""
    tags = catalog.tags() if catalog.tags else {}
    known = {name: pairs.T for name, pairs in tags.items() if len(pairs) > 0}
    if catalog.histories is None:
        return known
    histories = catalog.histories()
    ends = [catalog.num_items, *(int(edges.max()) for edges in known.values())]
    events = torch.stack([histories.user_ids() + max(ends), histories.item_ids])
    return {EVENTS: events} | known if events.numel() > 0 else known
