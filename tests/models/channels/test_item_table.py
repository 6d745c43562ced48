from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.channels.adaptor import MixtureAdaptorConfig
from xrec_lightning.models.channels.item_table import ItemTable, ItemTableConfig
from xrec_lightning.models.channels.knowledge import whitened_vectors
from xrec_lightning.models.channels.sequence import SequenceChannelConfig
from xrec_lightning.models.sequence.sasrec import SASRecConfig

ENCODER = SASRecConfig(embed_dim=6, max_seq_len=5)
IDS = torch.tensor([[1, 4, 0], [11, 12, 10]])


def table(catalog: Catalog, width: int = 6, **options: Any) -> ItemTable:
    torch.manual_seed(0)
    items = ItemTable(ItemTableConfig(**options), catalog, width)
    items.fill(catalog)
    return items


def test_rows_alone_are_an_embedding(catalog: Catalog) -> None:
    items = table(catalog)
    assert torch.equal(items(IDS), F.embedding(IDS, items.weight))
    assert items.keys() is items.weight
    items(IDS).sum().backward()
    assert items.weight.grad[0].abs().sum() == 0, "padding is not trained"


def test_knowledge_alone_has_nothing_of_single_items(catalog: Catalog) -> None:
    items = table(catalog, item_input="knowledge")
    assert list(items.parameters()) == []
    assert items.state_dict() == {}
    expected = whitened_vectors(catalog, 6) * 0.02
    torch.testing.assert_close(items.keys(), expected)
    torch.testing.assert_close(items(IDS), expected[IDS])


def test_knowledge_is_padded_to_a_wider_encoder(catalog: Catalog) -> None:
    keys = table(catalog, width=11, item_input="knowledge", init_std=1.0).keys()
    torch.testing.assert_close(keys[:, :8], whitened_vectors(catalog, 8))
    assert keys[:, 8:].abs().sum() == 0


def test_input_and_key_are_chosen_apart(catalog: Catalog) -> None:
    items = table(catalog, item_input="knowledge", item_key="id")
    torch.testing.assert_close(items(IDS), whitened_vectors(catalog, 6)[IDS] * 0.02)
    assert items.keys() is items.weight


def test_rows_are_weighted_by_training_events(catalog: Catalog) -> None:
    knowledge = whitened_vectors(catalog, 6) * 0.02
    for strength in (0.0, 3.0):
        items = table(catalog, item_input="id+knowledge", popularity_gate=strength)
        for item, count in ((1, 9), (4, 6), (9, 1), (11, 0)):
            gate = count / (count + strength) if count > 0 else 0.0
            expected = knowledge[item] + gate * items.weight[item]
            torch.testing.assert_close(items.keys()[item], expected)
        torch.testing.assert_close(items(IDS), items.keys()[IDS])


@settings(max_examples=20, deadline=None)
@given(bound=st.floats(0.0, 5.0), scale=st.floats(0.001, 100.0))
def test_rows_stay_within_their_bound(bound: float, scale: float) -> None:
    catalog = small_catalog()
    items = table(catalog, item_input="id+knowledge", delta_bound=bound)
    rows = items.weight.data = torch.randn(5, 6) * scale
    rows[0] = 0.0
    knowledge = whitened_vectors(catalog, 6) * 0.02
    delta, lengths = items.keys() - knowledge, knowledge.norm(dim=1)
    assert (delta.norm(dim=1)[:4] <= bound * lengths[:4] * 1.001 + 1e-6).all()
    is_short = rows.norm(dim=1) <= bound * lengths * 0.999
    torch.testing.assert_close(delta[is_short], rows[is_short], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(items.keys()[4], rows[4], msg="without text there is no bound")
    cosines = F.cosine_similarity(delta[1:4], rows[1:4], dim=1)
    assert bound * 0.02 < 1e-3 or cosines.min() > 0.99


def small_catalog() -> Catalog:
    """Return four items, the last without text; hypothesis takes no fixtures."""
    vectors = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    vectors[[0, 4]] = 0.0
    counts = torch.tensor([0, 3, 2, 1, 1])
    ids = (torch.tensor([1, 2, 3, 4]),)
    return Catalog("small", ("books",), (), 1, 4, counts, ids, vectors)


def test_rows_live_in_the_null_space_of_the_knowledge(catalog: Catalog) -> None:
    items = table(catalog, item_input="id+knowledge", null_space=2)
    assert items.weight.shape == (13, 2)
    knowledge = table(catalog, item_input="id+knowledge", null_space=2, item_init="zero").keys()
    rows = items.keys() - knowledge
    assert (rows[1:11].norm(dim=1) > 0).all()
    assert (rows[1:12] @ knowledge[1:12].T).abs().max() == 0
    # The knowledge keeps its directions of most variance, and these alone.
    torch.testing.assert_close(knowledge[:12, :4], whitened_vectors(catalog, 4)[:12] * 0.02)
    assert knowledge[:12, 4:].abs().sum() == 0
    items.keys()[:12].pow(2).sum().backward()
    torch.testing.assert_close(items.weight.grad[1:11], 2 * items.weight.data[1:11])


def test_an_adaptor_takes_the_vectors_of_the_store(catalog: Catalog) -> None:
    adaptor = MixtureAdaptorConfig(num_experts=2)
    items = table(catalog, item_input="knowledge", item_adaptor=adaptor).eval()
    assert catalog.vectors is not None
    expected = items.adaptor(catalog.vectors)
    torch.testing.assert_close(items.keys()[:12], expected[:12])
    assert items.keys()[12].abs().sum() == 0, "no text, no vector"
    torch.testing.assert_close(items(IDS), items.keys()[IDS])
    items.keys().sum().backward()
    assert items.adaptor.experts.grad.abs().sum() > 0


def test_cold_items_have_the_key_of_their_text(catalog: Catalog, batch: SequenceBatch) -> None:
    config = SequenceChannelConfig(
        encoder=ENCODER,
        item_input="id+knowledge",
        item_init="zero",
        popularity_gate=2.0,
        delta_bound=0.5,
    )
    channel = config.build(catalog)
    expected = F.normalize(whitened_vectors(catalog, 6), dim=1)
    torch.testing.assert_close(channel.keys()[:12], expected[:12])
    assert channel.keys()[12].norm() == 0, "neither text nor training event"
    (channel.keys() @ channel.queries(batch).flatten(0, 1).T)[:11].pow(2).sum().backward()
    gradient = channel.item_embedding.weight.grad
    assert gradient.isfinite().all()
    assert gradient[11].abs().sum() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delta_bound": 0.5}, "delta_bound is 0.5: set item_input to id"),
        ({"popularity_gate": 5.0, "item_input": "knowledge"}, "popularity_gate is 5.0: set item_"),
        ({"popularity_gate": -1.0, "item_input": "id+knowledge"}, "are 0 at least"),
        ({"item_adaptor": MixtureAdaptorConfig()}, "item_adaptor: set item_input to knowledge"),
        ({"item_init": "zero"}, "item_init is zero: set item_input and item_key to id"),
        ({"null_space": 2}, "null_space is 2: set it below the encoder's embed_dim, 6, with"),
        ({"null_space": 6, "item_input": "id+knowledge"}, "null_space is 6: set it below"),
        ({"cold_keys": "text", "item_input": "knowledge"}, "cold_keys is text: keys that hold"),
    ],
)
def test_options_that_do_not_fit_name_the_remedy(
    catalog: Catalog, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceChannelConfig(encoder=ENCODER, **options).build(catalog)


def test_knowledge_that_is_not_there_is_asked_for(catalog: Catalog) -> None:
    for options in ({}, {"item_adaptor": MixtureAdaptorConfig()}):
        config = ItemTableConfig(item_input="id+knowledge", **options)
        with pytest.raises(ValueError, match=r"data\.init_args\.knowledge"):
            ItemTable(config, catalog._replace(vectors=None), 6)
