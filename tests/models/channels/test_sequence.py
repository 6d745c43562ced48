import pytest
import torch
import torch.nn.functional as F

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.channels.knowledge import whitened_vectors
from xrec_lightning.models.channels.sequence import SequenceChannel, SequenceChannelConfig
from xrec_lightning.models.sequence.base import EncoderConfig, History, Requests
from xrec_lightning.models.sequence.bert4rec import BERT4RecConfig
from xrec_lightning.models.sequence.hstu import HSTUConfig
from xrec_lightning.models.sequence.sasrec import SASRecConfig
from xrec_lightning.models.sequence.two_stream import TwoStreamConfig

ENCODER = SASRecConfig(embed_dim=6, max_seq_len=5)


def trained_like(catalog: Catalog, encoder: EncoderConfig) -> SequenceChannel:
    torch.manual_seed(0)
    channel = SequenceChannelConfig(encoder=encoder).build(catalog).eval()
    for parameter in channel.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return channel


def test_a_seed_gives_the_numbers_that_it_always_gave(catalog: Catalog) -> None:
    torch.manual_seed(7)
    channel = SequenceChannelConfig(encoder=ENCODER).build(catalog)
    torch.manual_seed(7)
    ENCODER.build()
    table, _ = torch.nn.Embedding(13, 6), torch.nn.Embedding(3, 6)
    torch.nn.init.normal_(table.weight, std=0.02)
    assert torch.equal(channel.item_embedding.weight[1:], table.weight[1:])
    names = {name for name in channel.state_dict() if not name.startswith("encoder.")}
    assert names == {"item_embedding.weight", "domain_embedding.weight"}


def test_requests_of_other_domains_have_explanations_of_their_own(
    catalog: Catalog, batch: SequenceBatch
) -> None:
    channel = trained_like(catalog, TwoStreamConfig(embed_dim=6, max_seq_len=5))
    twice = batch._replace(
        **{name: value[[0, 0]] for name, value in batch._asdict().items()}
    )._replace(target_domain_ids=torch.tensor([[1], [2]]))
    parts = channel.contributions(twice, torch.tensor([[3, 4], [3, 4]]))
    assert not torch.allclose(parts[0], parts[1])
    alone = twice._replace(**{name: value[1:] for name, value in twice._asdict().items()})
    torch.testing.assert_close(parts[1:], channel.contributions(alone, torch.tensor([[3, 4]])))


@pytest.mark.parametrize(
    "kind",
    [SASRecConfig, BERT4RecConfig, HSTUConfig, TwoStreamConfig],
    ids=lambda kind: kind.__name__,
)
def test_histories_of_all_lengths_are_encoded_as_if_padded(
    kind: type[EncoderConfig], catalog: Catalog
) -> None:
    channel = trained_like(catalog, kind(embed_dim=6, max_seq_len=5))
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(6, (150,), generator=generator)
    is_real = torch.arange(5) < lengths[:, None]
    item_ids, domain_ids = (
        torch.randint(1, top, (150, 5), generator=generator) * is_real for top in (11, 3)
    )
    none = torch.zeros(150, 0, dtype=torch.int64)
    batch = SequenceBatch(
        user_ids=torch.arange(150),
        item_ids=item_ids,
        domain_ids=domain_ids,
        times=torch.arange(5) * 1000 * is_real,
        target_ids=torch.ones(150, 1, dtype=torch.int64),
        target_domain_ids=torch.arange(150)[:, None] % 2 + 1,
        target_weights=torch.ones(150, 1),
        state_positions=lengths[:, None] - 1,
        disliked_ids=none,
        seen_ids=none,
        slice_mask=none.bool(),
        row_ids=torch.arange(150),
    )
    inputs = channel.item_embedding(item_ids) + channel.domain_embedding(domain_ids)
    states = channel.encoder.states(
        History(inputs, batch.times, domain_ids),
        Requests(batch.state_positions, batch.target_domain_ids),
    )
    expected = F.normalize(states, dim=-1)
    torch.testing.assert_close(channel.queries(batch), expected, atol=1e-5, rtol=1e-4)
    assert (channel.queries(batch).norm(dim=-1)[lengths == 0] == 0).all()


def test_cold_items_have_no_key(catalog: Catalog) -> None:
    lengths = SequenceChannelConfig(encoder=ENCODER).build(catalog).keys().norm(dim=-1)
    torch.testing.assert_close(lengths[1:11], torch.ones(10))
    assert lengths[[0, 11, 12]].tolist() == [0.0, 0.0, 0.0]


def test_knowledge_fills_the_item_table(catalog: Catalog) -> None:
    config = SequenceChannelConfig(encoder=ENCODER, item_init="knowledge", init_std=0.1)
    table = config.build(catalog).item_embedding.weight
    torch.testing.assert_close(table[:12], 0.1 * whitened_vectors(catalog, 6)[:12])
    assert table[12].abs().sum() > 0, "an item without text starts at random"


def test_noise_sets_items_of_equal_text_apart(catalog: Catalog) -> None:
    assert catalog.vectors is not None
    vectors = catalog.vectors.clone()
    vectors[2] = vectors[1]
    twins = catalog._replace(vectors=vectors)
    for noise, is_apart in ((0.0, False), (0.5, True)):
        config = SequenceChannelConfig(encoder=ENCODER, item_init="knowledge", init_noise=noise)
        table = config.build(twins).item_embedding.weight
        assert torch.equal(table[1], table[2]) != is_apart
        assert F.cosine_similarity(table[1], table[2], dim=0) > 0.3


def test_an_untrained_knowledge_table_agrees_with_text_neighbors(
    catalog: Catalog, batch: SequenceBatch
) -> None:
    config = SequenceChannelConfig(encoder=ENCODER, item_init="knowledge")
    channel = config.build(catalog).eval()
    last = F.normalize(F.layer_norm(channel.item_embedding.weight[8], (6,)), dim=0)
    torch.testing.assert_close(channel.queries(batch)[0, 0], last)


@pytest.mark.parametrize(
    "encoder",
    [
        ENCODER,
        HSTUConfig(embed_dim=6, max_seq_len=5),
        BERT4RecConfig(embed_dim=6, max_seq_len=5),
        TwoStreamConfig(embed_dim=6, max_seq_len=5),
    ],
    ids=repr,
)
def test_contributions_are_changes_when_interactions_are_removed(
    catalog: Catalog, batch: SequenceBatch, encoder: EncoderConfig
) -> None:
    channel = trained_like(catalog, encoder)
    batch = batch._replace(times=batch.times**2)
    item_ids = torch.tensor([[3, 4], [6, 10], [1, 2]])
    parts = channel.contributions(batch, item_ids)
    keys = channel.keys()[item_ids]
    full = (keys * channel.queries(batch)).sum(-1)
    alone = batch._replace(
        item_ids=torch.tensor([[1, 7, 8, 0], [9, 0, 0, 0], [0, 0, 0, 0]]),
        domain_ids=torch.tensor([[1, 2, 2, 0], [2, 0, 0, 0], [0, 0, 0, 0]]),
        times=batch.times[:, [0, 1, 3, 3]],
        state_positions=torch.tensor([[2], [0], [-1]]),
    )
    removed = (keys * channel.queries(alone)).sum(-1)  # position 2 of row 0, position 0 of row 1
    torch.testing.assert_close(parts[0, :, 2], (full - removed)[0])
    torch.testing.assert_close(parts[1, :, 0], (full - removed)[1])
    assert parts[1, :, 2:].abs().sum() == 0
    assert parts[2].abs().sum() == 0


def test_text_predicts_the_keys_of_cold_items_at_evaluation(catalog: Catalog) -> None:
    config = SequenceChannelConfig(encoder=ENCODER, cold_keys="text", text_dim=6, text_penalty=1e-6)
    channel = config.build(catalog).eval()
    text = whitened_vectors(catalog, 6)
    wanted = torch.randn(6, 6, generator=torch.Generator().manual_seed(1))
    channel.item_embedding.weight.data = F.normalize(text @ wanted, dim=1)
    lengths = (text @ wanted).norm(dim=1)
    # Only if all trained keys had the same length before normalization is the map exactly linear.
    channel.item_embedding.weight.data[lengths == 0] = 0.0
    keys = channel.keys()
    assert keys[11].norm() > 0
    assert F.cosine_similarity(keys[11], text[11] @ wanted, dim=0) > 0.9
    assert keys[12].norm() == 0, "no text, no key"
    trained = SequenceChannelConfig(encoder=ENCODER).build(catalog)
    trained.load_state_dict(channel.state_dict())
    torch.testing.assert_close(keys[:11], trained.keys()[:11])
    assert channel.train().keys()[11].norm() == 0
