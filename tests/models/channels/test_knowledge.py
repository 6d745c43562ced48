import pytest
import torch

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.channels.base import normalize
from xrec_lightning.models.channels.knowledge import (
    KnowledgeChannel,
    KnowledgeChannelConfig,
    whitened_vectors,
)


def trained_like(catalog: Catalog) -> KnowledgeChannel:
    torch.manual_seed(0)
    channel = KnowledgeChannelConfig(dim=6).build(catalog)
    torch.nn.init.normal_(channel.log_relevance)
    return channel


def test_without_knowledge_it_says_where_to_get_it(catalog: Catalog) -> None:
    with pytest.raises(ValueError, match="xrec embed"):
        KnowledgeChannelConfig().build(catalog._replace(vectors=None))


def test_whitening_is_fitted_on_trained_items_and_covers_cold_ones(catalog: Catalog) -> None:
    vectors = whitened_vectors(catalog, 6)
    trained = vectors[1:11]
    torch.testing.assert_close(torch.cov(trained.T), torch.eye(6), atol=1e-3, rtol=1e-3)
    assert vectors[11].abs().sum() > 0
    assert vectors[[0, 12]].abs().sum() == 0


def test_queries_are_the_weighted_sum_of_the_history(
    catalog: Catalog, batch: SequenceBatch
) -> None:
    channel = trained_like(catalog)
    expected = torch.zeros(3, 1, 6)
    for row in range(3):
        state, domain = int(batch.state_positions[row, 0]), int(batch.target_domain_ids[row, 0])
        for position in range(state + 1):
            weight = (
                channel.log_recency[state - position]
                + (channel.log_relevance[domain, batch.domain_ids[row, position]])
            )
            expected[row, 0] += weight.exp() * channel.vectors[batch.item_ids[row, position]]
    torch.testing.assert_close(channel.queries(batch), normalize(expected))


def test_untrained_it_decays_by_half(catalog: Catalog, batch: SequenceBatch) -> None:
    channel = KnowledgeChannelConfig(dim=6, decay=0.5).build(catalog)
    vectors = channel.vectors
    expected = normalize(vectors[8] + vectors[2] / 2 + vectors[7] / 4 + vectors[1] / 8)
    torch.testing.assert_close(channel.queries(batch)[0, 0], expected)


def test_contributions_sum_to_the_cosine(catalog: Catalog, batch: SequenceBatch) -> None:
    channel = trained_like(catalog)
    item_ids = torch.tensor([[3, 11], [6, 12], [1, 2]])
    parts = channel.contributions(batch, item_ids)
    cosines = (channel.keys()[item_ids] * channel.queries(batch)).sum(-1)
    torch.testing.assert_close(parts.sum(-1), cosines, atol=1e-5, rtol=0)


def test_a_checkpoint_does_not_hold_the_frozen_vectors(catalog: Catalog) -> None:
    assert set(trained_like(catalog).state_dict()) == {"log_recency", "log_relevance"}
