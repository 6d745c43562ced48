import numpy as np
import torch

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.item_knn import ItemKNNConfig


def test_scores_equal_a_dense_computation(catalog: Catalog, batch: SequenceBatch) -> None:
    generator = np.random.default_rng(0)
    taken = generator.random((3, 13)) < 0.4
    taken[:, 0] = False
    model = ItemKNNConfig(shrinkage=0.5).build(catalog)
    for user in range(3):
        items = torch.from_numpy(np.flatnonzero(taken[user]))[None]
        model.observe(batch._replace(user_ids=torch.tensor([user + 1]), item_ids=items))
    model.finish()
    columns = taken.astype(float)
    counts = columns.sum(axis=0)
    similarity = columns.T @ columns / (np.sqrt(np.outer(counts, counts)) + 0.5)
    np.fill_diagonal(similarity, 0.0)
    expected = [similarity[[i for i in row if i]].sum(axis=0) for row in batch.item_ids.tolist()]
    scores = model.scores(batch) - model.popularity_prior()
    np.testing.assert_allclose(scores.numpy(), expected, atol=1e-5)


def test_a_repeated_purchase_counts_once(catalog: Catalog, batch: SequenceBatch) -> None:
    model = ItemKNNConfig().build(catalog)
    repeated = torch.tensor([[1, 1, 2]])
    model.observe(batch._replace(user_ids=torch.tensor([1]), item_ids=repeated))
    model.finish()
    history = batch._replace(item_ids=torch.tensor([[1]]))
    assert model.scores(history)[0].argmax() == 2
    assert 1.0 <= model.scores(history)[0, 2].item() < 1.01
