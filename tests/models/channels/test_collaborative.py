import numpy as np
import pytest
import torch

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.channels.collaborative import CollaborativeChannelConfig
from xrec_lightning.models.cooccurrence import (
    degree_normalized,
    positive_pmi,
    together_counts,
    transition_counts,
)

CONFIGS = [
    CollaborativeChannelConfig(dim=4, keep_lengths=False, normalization="degree"),
    CollaborativeChannelConfig(dim=4, keep_lengths=False, relation="together"),
    CollaborativeChannelConfig(dim=4, keep_lengths=False, shift=1.2, window=1),
]


def dense_strengths(config: CollaborativeChannelConfig, catalog: Catalog) -> np.ndarray:
    assert catalog.histories is not None
    count = together_counts if config.relation == "together" else transition_counts
    counts = count(catalog.histories(), 12, config.window, config.step_decay)
    if config.normalization == "ppmi":
        return positive_pmi(counts, config.shift).toarray()
    return degree_normalized(counts).toarray()


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_cosines_are_those_of_the_singular_vectors(
    linked: Catalog, config: CollaborativeChannelConfig
) -> None:
    channel = config.build(linked)
    u, values, vt = np.linalg.svd(dense_strengths(config, linked))
    left, right = u[:, :4] * values[:4] ** 0.5, vt[:4].T * values[:4] ** 0.5
    assert values[3] - values[4] > 1e-3, "else the cut is no matter of the data"

    def unit(rows: np.ndarray) -> np.ndarray:
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.where(lengths > 1e-6, rows / np.maximum(lengths, 1e-12), 0.0)

    expected = unit(left) @ unit(right).T
    cosines = channel.vectors @ channel.keys().T
    np.testing.assert_allclose(cosines.numpy(), expected, atol=1e-5)


def test_keys_with_lengths_rebuild_the_strengths(linked: Catalog) -> None:
    config = CollaborativeChannelConfig(dim=13)
    channel = config.build(linked)
    strengths = dense_strengths(config, linked)
    scores = (channel.vectors @ channel.keys().T).numpy()
    for row in np.flatnonzero(strengths.any(axis=1)):
        ratio = scores[row].sum() / strengths[row].sum()
        np.testing.assert_allclose(scores[row], strengths[row] * ratio, atol=1e-5)
    assert channel.keys().norm(dim=1).max() == pytest.approx(1.0)


def test_the_next_item_is_found_by_the_one_before(linked: Catalog, batch: SequenceBatch) -> None:
    config = CollaborativeChannelConfig(dim=8, window=1, decay=1e-3)
    channel = config.build(linked)
    one = batch._replace(
        item_ids=torch.tensor([[3], [7], [5]]),
        domain_ids=torch.ones(3, 1).long(),
        state_positions=torch.zeros(3, 1).long(),
    )
    scores = (channel.queries(one) @ channel.keys().T)[:, 0]
    assert scores[0].argmax() == 9
    assert scores[1].argmax() == 2
    assert set(scores[2].topk(2).indices.tolist()) == {7, 10}
    assert channel.keys()[3].abs().sum() == 0, "nothing comes before it"


def test_cold_items_have_no_vectors(linked: Catalog) -> None:
    for config in CONFIGS:
        channel = config.build(linked)
        assert channel.keys()[[0, 11, 12]].abs().sum() == 0
        assert channel.vectors[[0, 11, 12]].abs().sum() == 0


def test_the_order_of_a_basket_counts_where_the_file_is_believed(linked: Catalog) -> None:
    config = CollaborativeChannelConfig(dim=8, window=1)
    shuffled, believed = (config.build(linked._replace(ties=ties)) for ties in ("shuffle", "file"))
    assert shuffled.vectors[4].abs().sum() == 0, "item 1 came with it, and 5 followed item 1"
    assert believed.vectors[4] @ believed.keys()[1] > 0.5


def test_without_events_it_says_so(catalog: Catalog) -> None:
    with pytest.raises(ValueError, match="needs training events"):
        CollaborativeChannelConfig().build(catalog)


@pytest.mark.parametrize(
    ("name", "value"), [("dim", 0), ("window", 0), ("step_decay", -0.1), ("shift", 0.5)]
)
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"CollaborativeChannelConfig\.{name} is {value}"):
        CollaborativeChannelConfig(**{name: value})
