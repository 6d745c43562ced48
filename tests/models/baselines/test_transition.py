import torch

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.transition import TransitionConfig


def training_batch(batch: SequenceBatch) -> SequenceBatch:
    """User 1: 1, then 7 and 2 at one time, then 8. User 2: 3, 9. User 3: nothing."""
    return batch._replace(
        target_ids=torch.tensor([[0, 7, 2, 8], [0, 9, 0, 0], [0, 0, 0, 0]]),
        target_domain_ids=torch.tensor([[0, 2, 1, 2], [0, 2, 0, 0], [0, 0, 0, 0]]),
        state_positions=torch.tensor([[-1, 0, 0, 2], [-1, 0, -1, -1], [-1, -1, -1, -1]]),
    )


def test_scores_count_what_followed_the_last_item(catalog: Catalog, batch: SequenceBatch) -> None:
    model = TransitionConfig().build(catalog)
    model.observe(training_batch(batch))
    model.observe(training_batch(batch))
    model.finish()
    queries = batch._replace(
        item_ids=torch.tensor([[5, 1], [2, 0], [0, 0]]),
        state_positions=torch.tensor([[1], [0], [-1]]),
    )
    rounded = model.scores(queries).round(decimals=0)
    assert rounded.nonzero().tolist() == [[0, 2], [0, 7], [1, 8]]
    assert rounded[0, 7] == 2.0


def test_popularity_breaks_ties(catalog: Catalog, batch: SequenceBatch) -> None:
    model = TransitionConfig().build(catalog)
    model.finish()
    scores = model.scores(batch)[0]
    assert scores.argsort(descending=True)[:9].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
