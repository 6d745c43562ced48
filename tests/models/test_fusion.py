import torch

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.channels.knowledge import KnowledgeChannelConfig
from xrec_lightning.models.channels.sequence import SequenceChannelConfig
from xrec_lightning.models.fusion import FusionScorer
from xrec_lightning.models.sequence.sasrec import SASRecConfig

CHANNELS = [
    SequenceChannelConfig(encoder=SASRecConfig(embed_dim=6, max_seq_len=5), weight=0.5),
    KnowledgeChannelConfig(dim=4, weight=2.0),
]


def trained_like(catalog: Catalog) -> FusionScorer:
    torch.manual_seed(0)
    scorer = FusionScorer(catalog, CHANNELS).eval()
    for parameter in scorer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    for domain in (1, 2):
        scorer.set_weights(domain, torch.tensor([0.5, domain / 2]))
    return scorer


def test_the_inner_product_is_the_weighted_sum_of_cosines(
    catalog: Catalog, batch: SequenceBatch
) -> None:
    scorer = trained_like(catalog)
    scores = scorer.user_vectors(batch)[:, 0] @ scorer.item_vectors().T
    scales = scorer.log_scales.exp()
    for row, domain in enumerate(batch.target_domain_ids[:, 0].tolist()):
        for item in range(1, 13):
            cosines = [(c.queries(batch)[row, 0] * c.keys()[item]).sum() for c in scorer.channels]
            weights = scorer.weights[domain]
            weighted = sum(w * s * c for w, s, c in zip(weights, scales, cosines, strict=True))
            expected = weighted + scorer.bias[item]
            torch.testing.assert_close(scores[row, item], expected, atol=1e-5, rtol=1e-5)


def test_channel_scores_and_bias_sum_to_the_score(catalog: Catalog, batch: SequenceBatch) -> None:
    scorer = trained_like(catalog)
    item_ids = torch.tensor([[3, 4], [6, 10], [1, 2]])
    explanation = scorer.explain(batch, item_ids)
    scores = (scorer.user_vectors(batch)[:, 0] @ scorer.item_vectors().T).gather(1, item_ids)
    total = explanation.channel_scores.sum(-1) + scorer.bias[item_ids]
    torch.testing.assert_close(total, scores, atol=1e-5, rtol=1e-5)
    assert explanation.channel_names == ("sequence", "knowledge")


def test_causes_are_interactions_of_the_history(catalog: Catalog, batch: SequenceBatch) -> None:
    scorer, item_ids = trained_like(catalog), torch.tensor([[3], [6], [1]])
    causes = scorer.explain(batch, item_ids).causes
    assert causes.shape == (3, 1, 2)
    for index, channel in enumerate(scorer.channel_list()):
        parts = channel.contributions(batch, item_ids)[:, 0]
        for row, cause in enumerate(causes[:, 0, index].tolist()):
            assert cause == (int(parts[row].argmax()) if parts[row].max() > 0 else -1)
    assert (causes[2] == -1).all()


def test_before_training_the_score_is_text_neighbors_and_popularity(
    catalog: Catalog, batch: SequenceBatch
) -> None:
    channels = [KnowledgeChannelConfig(dim=4)]
    scorer = FusionScorer(catalog, channels, temperature=0.5, popularity_prior=2.0)
    scores = scorer.user_vectors(batch)[:, 0] @ scorer.item_vectors().T
    channel = scorer.channel_list()[0]
    neighbors = channel.queries(batch)[:, 0] @ channel.keys().T / 0.5
    torch.testing.assert_close(scores, neighbors + 2 * catalog.train_counts.log1p())


def test_weighted_parts_sum_to_the_score(catalog: Catalog, batch: SequenceBatch) -> None:
    scorer = trained_like(catalog)
    weights = scorer.weights[batch.target_domain_ids[:, 0]]
    keys = [channel.keys() for channel in scorer.channel_list()]
    parts = torch.stack(scorer.parts(batch, keys), dim=-1)
    scores = scorer.user_vectors(batch)[:, 0] @ scorer.item_vectors().T
    total = (parts * weights[:, None]).sum(-1) + scorer.bias
    torch.testing.assert_close(total, scores, atol=1e-5, rtol=1e-5)


def test_factors_of_a_bucket_change_its_items_only(catalog: Catalog, batch: SequenceBatch) -> None:
    scorer = trained_like(catalog)
    before = scorer.user_vectors(batch)[:, 0] @ scorer.item_vectors().T
    keys = [channel.keys() for channel in scorer.channel_list()]
    weights = scorer.weights[batch.target_domain_ids[:, 0]]
    tail = (catalog.train_counts >= 1) & (catalog.train_counts <= 3)
    assert 0 < tail.sum() < len(tail) - 1
    scorer.bucket_factors[1, 1] = 3.0
    change = scorer.user_vectors(batch)[:, 0] @ scorer.item_vectors().T - before
    expected = 2.0 * scorer.parts(batch, keys)[1] * weights[:, 1:] * tail
    torch.testing.assert_close(change, expected, atol=1e-5, rtol=1e-5)
    item_ids = torch.arange(1, 13).expand(3, -1)
    explained = scorer.explain(batch, item_ids).channel_scores.sum(-1) + scorer.bias[item_ids]
    torch.testing.assert_close(explained, (before + change)[:, 1:], atol=1e-5, rtol=1e-5)


def test_cold_items_that_a_channel_knows_are_raised(catalog: Catalog, batch: SequenceBatch) -> None:
    scorer = trained_like(catalog)
    before = scorer.user_vectors(batch)[:, 0] @ scorer.item_vectors().T
    scorer.cold_offsets[1] = 5.0
    change = scorer.user_vectors(batch)[:, 0] @ scorer.item_vectors().T - before
    expected = torch.zeros(3, 13)
    expected[[0, 2], 11] = 5.0  # item 12 has neither text nor training; row 1 asks for domain 2
    torch.testing.assert_close(change, expected, atol=1e-5, rtol=0)
