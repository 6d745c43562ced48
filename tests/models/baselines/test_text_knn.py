from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.text_knn import TextKNNConfig


def test_scores_are_cosines_with_the_last_item(catalog: Catalog, batch: SequenceBatch) -> None:
    assert catalog.vectors is not None
    scores = TextKNNConfig(history=1).build(catalog).scores(batch)
    vectors = catalog.vectors.numpy()
    expected = cosine_similarity(vectors[[8, 9]], vectors[:12])
    np.testing.assert_allclose(scores[:2, 1:12].numpy(), expected[:, 1:], atol=1e-5)


def test_items_without_text_come_last(catalog: Catalog, batch: SequenceBatch) -> None:
    scores = TextKNNConfig().build(catalog).scores(batch)
    assert (scores[:, 12] < scores[:, 1:12].min(dim=1).values).all()


@pytest.mark.parametrize("decay", [1.0, 0.25])
def test_history_is_a_mean_of_the_newest_in_which_older_ones_weigh_less(
    catalog: Catalog, batch: SequenceBatch, decay: float
) -> None:
    model = TextKNNConfig(history=3, decay=decay).build(catalog)
    query = decay**2 * model.vectors[7] + decay * model.vectors[2] + model.vectors[8]
    expected = torch.nn.functional.cosine_similarity(query[None], model.vectors[1:12])
    torch.testing.assert_close(model.scores(batch)[0, 1:12], expected)


def test_without_knowledge_it_says_where_to_get_it(catalog: Catalog) -> None:
    with pytest.raises(ValueError, match="xrec embed"):
        TextKNNConfig().build(catalog._replace(vectors=None))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"history": 0}, "history is 0: compare at least"),
        ({"decay": 0.0}, r"decay is 0\.0: set it above 0"),
        ({"decay": 1.5}, r"decay is 1\.5: set it above 0 and at most 1"),
    ],
)
def test_settings_without_meaning_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextKNNConfig(**settings)
