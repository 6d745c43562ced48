import pytest
import torch

from xrec_lightning.batches import Catalog
from xrec_lightning.models.channels.base import normalize
from xrec_lightning.models.channels.graph import GraphChannelConfig, fused_graph
from xrec_lightning.models.channels.knowledge import whitened_vectors

NUM_NODES = 21
"""Padding, 12 items, 5 tags, brands and entities, 3 users."""


def linked_nodes(catalog: Catalog, relations: list[str]) -> set[tuple[int, int]]:
    """Return the edges of `linked`, by loops; user ``u`` is node ``17 + u``."""
    assert catalog.histories is not None
    assert catalog.tags is not None
    edges = set()
    for name in relations:
        if name == "events":
            offsets, item_ids, _ = catalog.histories()
            for user in range(3):
                for item in item_ids[offsets[user] : offsets[user + 1]].tolist():
                    edges.add((18 + user, item))
        else:
            edges |= {(left, right) for left, right in catalog.tags()[name].tolist()}
    return edges


def expected_vectors(
    catalog: Catalog, config: GraphChannelConfig, relations: list[str]
) -> torch.Tensor:
    """Return the formula of LightGCN, node by node."""
    edges = linked_nodes(catalog, relations)
    neighbors = {node: [] for node in range(NUM_NODES)}
    for left, right in edges:
        neighbors[left].append(right)
        neighbors[right].append(left)
    layer = torch.zeros(NUM_NODES, config.dim)
    layer[:13] = normalize(whitened_vectors(catalog, config.dim))
    total = config.self_weight * layer
    for _ in range(config.num_layers):
        after = torch.zeros_like(layer)
        for node, others in neighbors.items():
            for other in others:
                degrees = len(others) * len(neighbors[other])
                after[node] += layer[other] / degrees**0.5
        layer = after
        total = total + layer
    return normalize(total[:13])


@pytest.mark.parametrize(
    ("config", "relations"),
    [
        (GraphChannelConfig(dim=6), ["events", "item_tag", "item_brand", "entity_entity"]),
        (
            GraphChannelConfig(dim=6, num_layers=3, self_weight=0.5, relations=["events"]),
            ["events"],
        ),
        (
            GraphChannelConfig(dim=4, num_layers=1, relations=["entity_entity", "item_tag"]),
            ["entity_entity", "item_tag"],
        ),
    ],
    ids=repr,
)
def test_keys_are_propagated_knowledge(
    linked: Catalog, config: GraphChannelConfig, relations: list[str]
) -> None:
    expected = expected_vectors(linked, config, relations)
    torch.testing.assert_close(config.build(linked).keys(), expected)


def test_an_item_without_edges_keeps_its_own_text(linked: Catalog) -> None:
    for weight in (1.0, 0.0):
        keys = GraphChannelConfig(dim=6, self_weight=weight).build(linked).keys()
        own = normalize(whitened_vectors(linked, 6))
        assert torch.equal(keys[6], own[6])
        assert keys[0].abs().sum() == 0
        assert not torch.allclose(keys[1], own[1])


def test_a_cold_item_is_moved_by_its_tags(linked: Catalog) -> None:
    keys = GraphChannelConfig(dim=6).build(linked).keys()
    own = normalize(whitened_vectors(linked, 6))
    assert keys[11] @ own[1] > own[11] @ own[1], "nearer to the item of the same tag"
    assert own[12].abs().sum() == 0
    torch.testing.assert_close(keys[12] @ own[3], torch.tensor(1.0))  # its only neighbor


def test_it_works_on_what_there_is(linked: Catalog) -> None:
    events = fused_graph(linked._replace(tags=None))
    assert events.num_nodes == 16
    assert events.edges.shape == (2, 12)
    tags = fused_graph(linked._replace(histories=None))
    assert tags.num_nodes == 18
    few = fused_graph(linked._replace(histories=None), ["item_tag"])
    assert few.edges.tolist() == [[1, 11, 2, 3], [13, 13, 14, 14]]


@pytest.mark.parametrize(
    ("relations", "message"),
    [
        (["item_tags"], "no edges `item_tags`; it has: events, item_tag, item_brand, entity"),
        (["events", "item_brand"], "no edges `item_brand`; it has: events, item_tag$"),
        (None, "the data have none: leave it out"),
    ],
    ids=repr,
)
def test_edges_that_do_not_exist_are_refused(
    linked: Catalog, relations: list[str] | None, message: str
) -> None:
    if relations is None:
        linked = linked._replace(tags=None, histories=None)
    elif "item_brand" in relations:
        assert linked.tags is not None
        tag = linked.tags()["item_tag"]
        linked = linked._replace(tags=lambda: {"item_tag": tag, "item_brand": tag[:0]})
    with pytest.raises(ValueError, match=message):
        GraphChannelConfig(dim=6, relations=relations).build(linked)


def test_without_knowledge_it_says_where_to_get_it(linked: Catalog) -> None:
    with pytest.raises(ValueError, match="xrec embed"):
        GraphChannelConfig().build(linked._replace(vectors=None))


@pytest.mark.parametrize(("name", "value"), [("num_layers", 0), ("self_weight", -1.0)])
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"GraphChannelConfig\.{name} is {value}"):
        GraphChannelConfig(**{name: value})
