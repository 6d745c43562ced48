import pytest
import torch

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.channels.base import normalize
from xrec_lightning.models.channels.collaborative import CollaborativeChannelConfig
from xrec_lightning.models.channels.graph import GraphChannelConfig
from xrec_lightning.models.channels.knowledge import KnowledgeChannelConfig
from xrec_lightning.models.channels.linear import LinearChannel, LinearChannelConfig
from xrec_lightning.models.channels.modality import ModalityChannelConfig

CONFIGS = [
    KnowledgeChannelConfig(dim=6),
    GraphChannelConfig(dim=6, decay=0.5),
    CollaborativeChannelConfig(dim=4),
    CollaborativeChannelConfig(dim=4, relation="together", keep_lengths=True, is_trainable=True),
    ModalityChannelConfig(modality="image", dim=4),
]


def built(config: LinearChannelConfig, catalog: Catalog) -> LinearChannel:
    channel = config.build(catalog)
    assert isinstance(channel, LinearChannel)
    return channel


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_contributions_sum_to_the_cosine(
    linked: Catalog, batch: SequenceBatch, config: LinearChannelConfig
) -> None:
    channel = built(config, linked)
    channel.log_relevance.data.normal_()
    item_ids = torch.tensor([[3, 11, 8], [6, 12, 2], [1, 2, 5]])
    parts = channel.contributions(batch, item_ids)
    cosines = (channel.keys()[item_ids] * channel.queries(batch)).sum(-1)
    assert parts.shape == (3, 3, 4)
    torch.testing.assert_close(parts.sum(-1), cosines, atol=1e-5, rtol=0)
    assert cosines[:2].abs().max() > 0.01
    assert parts[2].abs().sum() == 0, "no history"


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_queries_and_keys_are_as_long_as_they_promise(
    linked: Catalog, batch: SequenceBatch, config: LinearChannelConfig
) -> None:
    channel = built(config, linked)
    lengths = torch.cat([channel.queries(batch).norm(dim=-1).flatten(), channel.keys().norm(dim=1)])
    assert lengths.max() <= 1 + 1e-5
    if not getattr(config, "keep_lengths", False):
        assert ((lengths - 1).abs().lt(1e-5) | (lengths == 0)).all()


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_a_checkpoint_holds_what_is_trained_and_no_vectors(
    linked: Catalog, config: LinearChannelConfig
) -> None:
    channel = built(config, linked)
    is_trained = getattr(config, "is_trainable", True)
    assert channel.trains == is_trained
    assert set(channel.state_dict()) == ({"log_recency", "log_relevance"} if is_trained else set())
    assert len(list(channel.parameters())) == (2 if is_trained else 0)


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_two_builds_are_equal(linked: Catalog, config: LinearChannelConfig) -> None:
    first, second = built(config, linked), built(config, linked)
    assert torch.equal(first.vectors, second.vectors)
    assert torch.equal(first.keys(), second.keys())


def test_the_decay_weighs_the_history(linked: Catalog, batch: SequenceBatch) -> None:
    channel = built(CollaborativeChannelConfig(dim=4, decay=0.5), linked)
    vectors = channel.vectors
    expected = normalize(vectors[8] + vectors[2] / 2 + vectors[7] / 4 + vectors[1] / 8)
    torch.testing.assert_close(channel.queries(batch)[0, 0], expected)


@pytest.mark.parametrize("decay", [0.0, -1.0, float("nan")])
def test_a_decay_that_is_none_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match=r"GraphChannelConfig\.decay is .*: set it above 0"):
        GraphChannelConfig(decay=decay)
