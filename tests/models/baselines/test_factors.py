import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.bpr_mf import BPRMFConfig
from xrec_lightning.models.baselines.factors import (
    FOLD_IN_PENALTY,
    FactorBaseline,
    FactorConfig,
    NegativePairs,
    pair_loss,
)
from xrec_lightning.models.baselines.lightgcn import LightGCNConfig

POOLS = (torch.tensor([1, 2, 3, 4]), torch.tensor([4, 5, 6]))
TRIPLES = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.just(1))
    | st.tuples(st.integers(1, 3), st.integers(4, 6), st.just(2)),
    min_size=1,
    max_size=8,
)
CONFIGS = [
    BPRMFConfig(embed_dim=8, epochs=40, batch_size=16),
    LightGCNConfig(embed_dim=8, epochs=40, batch_size=16),
]
BOTH = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
NUM_USERS = 20


def fitted(config: FactorConfig, catalog: Catalog, batch: SequenceBatch) -> FactorBaseline:
    """Return a model of two tastes: odd users take some of items 1-3, even ones some of 4-6."""
    generator = np.random.default_rng(0)
    model = config.build(catalog._replace(num_users=NUM_USERS + 1))
    for user in range(1, NUM_USERS + 1):
        item_ids = generator.permutation([1, 2, 3] if user % 2 else [4, 5, 6])[:2]
        model.observe(
            batch._replace(
                user_ids=torch.tensor([user]),
                item_ids=torch.tensor([[*item_ids, 0]]),
                domain_ids=torch.tensor([[1, 1, 0]]),
            )
        )
    model.finish()
    assert isinstance(model, FactorBaseline)
    return model


def asked(batch: SequenceBatch, user: int, item_ids: list[int]) -> SequenceBatch:
    return batch._replace(user_ids=torch.tensor([user]), item_ids=torch.tensor([item_ids]))


@given(triples=TRIPLES, seed=st.integers(0, 100))
def test_negatives_are_of_the_domain_and_not_taken(
    triples: list[tuple[int, int, int]], seed: int
) -> None:
    rows = torch.tensor(triples)
    draw = NegativePairs(rows, POOLS, 6)
    drawn = draw(rows, torch.Generator().manual_seed(seed)).tolist()
    taken = {(user, item) for user, item, _ in triples}
    for (user, _, domain), item in zip(triples, drawn, strict=True):
        pool = POOLS[domain - 1].tolist()
        if all((user, other) in taken for other in pool):
            assert item == 0
        elif item:  # a rare miss of every draw is given up
            assert item in pool
            assert (user, item) not in taken


def test_every_item_that_is_left_is_as_likely() -> None:
    rows = torch.tensor([[1, 1, 1], [1, 5, 2]])
    draw = NegativePairs(rows, POOLS, 6)
    drawn = draw(rows.repeat(3000, 1), torch.Generator().manual_seed(0)).reshape(-1, 2)
    first, second = (torch.bincount(column, minlength=7).tolist() for column in drawn.T)
    assert first == pytest.approx([0, 0, 1000, 1000, 1000, 0, 0], abs=100)
    assert second == pytest.approx([0, 0, 0, 0, 1500, 0, 1500], abs=100)


def test_loss_is_the_log_odds_of_pairs_and_a_penalty() -> None:
    generator = torch.Generator().manual_seed(0)
    table, vectors = (torch.randn(5, 3, generator=generator) for _ in range(2))
    nodes = torch.tensor([[0, 1, 0], [2, 3, 4], [3, 2, 3]])
    expected = 0.0
    for user, positive, negative in nodes.T.tolist():
        margin = float(vectors[user] @ vectors[positive] - vectors[user] @ vectors[negative])
        squares = sum(float(table[node] @ table[node]) for node in (user, positive, negative))
        expected += math.log(1 + math.exp(-margin)) + 0.5 * 0.1 * squares
    assert pair_loss(table, vectors, nodes, 0.1).item() == pytest.approx(expected / 3, rel=1e-5)


def test_loss_without_pairs_is_zero() -> None:
    table = torch.ones(5, 3)
    assert pair_loss(table, table, torch.zeros(3, 0, dtype=torch.int64), 0.1).item() == 0.0


@BOTH
def test_it_learns_the_tastes_of_known_users(
    config: FactorConfig, catalog: Catalog, batch: SequenceBatch
) -> None:
    model = fitted(config, catalog, batch)
    for user in range(1, NUM_USERS + 1):
        scores = model.scores(asked(batch, user, [0]))[0]
        own, other = ([1, 2, 3], [4, 5, 6]) if user % 2 else ([4, 5, 6], [1, 2, 3])
        assert scores[own].min() > scores[other].max()
        assert scores[own].mean() > scores[11]  # nobody takes it


@BOTH
def test_a_new_user_is_folded_in_by_the_history(
    config: FactorConfig, catalog: Catalog, batch: SequenceBatch
) -> None:
    model = fitted(config, catalog, batch)
    for history, own, other in (([1, 2], 3, [4, 5, 6]), ([4, 6], 5, [1, 2, 3])):
        scores = model.scores(asked(batch, NUM_USERS + 1, history))[0]
        assert scores[own] > scores[other].max()


@BOTH
def test_the_fold_in_is_a_ridge_regression(
    config: FactorConfig, catalog: Catalog, batch: SequenceBatch
) -> None:
    model = fitted(config, catalog, batch)
    generator = np.random.default_rng(0)
    items = model.item_vectors.numpy().astype(float)
    histories = [
        generator.permutation([1, 2, 3] if user % 2 else [4, 5, 6])[:2]
        for user in range(1, NUM_USERS + 1)
    ]
    means = np.stack([items[history].mean(axis=0) for history in histories])
    penalty = FOLD_IN_PENALTY * (means**2).sum() / 8
    stacked = np.concatenate([means, np.sqrt(penalty) * np.eye(8)])
    wanted = np.concatenate([model.user_vectors[1 : NUM_USERS + 1].numpy(), np.zeros((8, 8))])
    expected = np.linalg.lstsq(stacked, wanted, rcond=None)[0]
    np.testing.assert_allclose(model.fold_in.numpy(), expected, rtol=1e-3, atol=1e-4)


@BOTH
def test_an_empty_history_of_a_new_user_ranks_by_popularity(
    config: FactorConfig, catalog: Catalog, batch: SequenceBatch
) -> None:
    model = fitted(config, catalog, batch)
    scores = model.scores(asked(batch, NUM_USERS + 1, [0]))[0]
    assert scores.tolist() == model.popularity_prior().tolist()


@BOTH
def test_the_seed_alone_decides(
    config: FactorConfig, catalog: Catalog, batch: SequenceBatch
) -> None:
    first, second = (fitted(config, catalog, batch).item_vectors for _ in range(2))
    other = fitted(replace(config, seed=1), catalog, batch).item_vectors
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", ["embed_dim", "epochs", "batch_size", "learning_rate"])
def test_settings_are_positive(name: str) -> None:
    with pytest.raises(ValueError, match=f"BPRMFConfig.{name} is 0: set it above 0"):
        BPRMFConfig(**{name: 0})
