import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines import ease
from xrec_lightning.models.baselines.ease import EASE, EASEConfig, item_weights

TAKEN = [[1, 2, 7, 7, 8], [1, 6, 7], [2, 3, 9, 10], [4, 5, 6, 8]]


def fitted(config: EASEConfig, catalog: Catalog, batch: SequenceBatch) -> EASE:
    """Return a model of `TAKEN`, one history a user."""
    model = config.build(catalog._replace(num_users=len(TAKEN)))
    for user, item_ids in enumerate(TAKEN, start=1):
        history = torch.tensor([[*item_ids, 0]])
        model.observe(batch._replace(user_ids=torch.tensor([user]), item_ids=history))
    model.finish()
    return model


def least_squares(taken: NDArray[np.float64], regularization: float) -> NDArray[np.float64]:
    """Return the weights column by column: ridge regression of an item on all others."""
    size = taken.shape[1]
    weights = np.zeros((size, size))
    for item in range(size):
        others = [other for other in range(size) if other != item]
        inputs = taken[:, others]
        gram = inputs.T @ inputs + regularization * np.eye(size - 1)
        weights[others, item] = np.linalg.solve(gram, inputs.T @ taken[:, item])
    return weights


def reference(items: list[int], batch: SequenceBatch) -> NDArray[np.float64]:
    """Return the scores of a matrix over ``items``, 0 elsewhere."""
    taken = np.array([[float(item in row) for item in items] for row in TAKEN])
    asked = np.array([[float(item in row) for item in items] for row in batch.item_ids.tolist()])
    scores = np.zeros((len(asked), 13))
    scores[:, items] = asked @ least_squares(taken, 2.0)
    return scores


@pytest.mark.parametrize("rows", [1, 3, 1024])
def test_weights_are_ridge_regressions_on_the_other_items(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ease, "BLOCK_ROWS", rows)
    taken = np.random.default_rng(0).random((20, 8)) < 0.3
    weights = item_weights(csr_array(taken.astype(np.float32)), 1.5)
    np.testing.assert_allclose(weights, least_squares(taken.astype(float), 1.5), atol=1e-5)


def test_joint_scores_come_from_the_whole_history(catalog: Catalog, batch: SequenceBatch) -> None:
    model = fitted(EASEConfig(regularization=2.0, scope="joint"), catalog, batch)
    expected = reference(list(range(1, 11)), batch)
    scores = model.scores(batch) - model.popularity_prior()
    np.testing.assert_allclose(scores.numpy(), expected, atol=1e-5)


def test_scores_of_a_domain_come_from_its_items(catalog: Catalog, batch: SequenceBatch) -> None:
    model = fitted(EASEConfig(regularization=2.0, scope="domain"), catalog, batch)
    books, films = reference([1, 2, 3, 4, 5, 6], batch), reference([6, 7, 8, 9, 10], batch)
    scores = model.scores(batch) - model.popularity_prior()
    np.testing.assert_allclose(scores.numpy(), [books[0], films[1], books[2]], atol=1e-5)


def test_a_repeated_item_of_the_history_counts_once(catalog: Catalog, batch: SequenceBatch) -> None:
    model = fitted(EASEConfig(scope="joint"), catalog, batch)
    once, twice = (
        model.scores(batch._replace(item_ids=torch.tensor([row] * 3)))
        for row in ([1, 2, 0], [1, 2, 1])
    )
    assert once.tolist() == twice.tolist()


def test_before_training_it_ranks_by_popularity(catalog: Catalog, batch: SequenceBatch) -> None:
    model = EASEConfig().build(catalog)
    assert model.scores(batch)[0].tolist() == model.popularity_prior().tolist()


def test_too_many_items_say_what_they_would_need(catalog: Catalog) -> None:
    counts = torch.ones(50_001, dtype=torch.int64)
    large = catalog._replace(
        num_items=50_000, train_counts=counts, candidates=(torch.arange(1, 50_001),)
    )
    with pytest.raises(ValueError, match=r"50,000 items needs 9\.3 GiB.*scope to domain"):
        EASEConfig(scope="joint").build(large)
    with pytest.raises(
        ValueError, match=r"max_items is 5: raise it if there is so much memory, or"
    ):
        EASEConfig(max_items=5).build(catalog)


def test_items_without_training_do_not_count_against_the_limit(catalog: Catalog) -> None:
    model = EASEConfig(max_items=10, scope="joint").build(catalog)
    assert model.scopes[0].tolist() == list(range(1, 11))


def test_a_singular_matrix_asks_for_more_regularization() -> None:
    taken = csr_array(np.ones((5000, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="regularization 1e-06: raise it"):
        item_weights(taken, 1e-6)


@pytest.mark.parametrize("regularization", [0.0, -1.0, float("nan")])
def test_regularization_is_positive(regularization: float) -> None:
    with pytest.raises(ValueError, match="set it above 0"):
        EASEConfig(regularization=regularization)
