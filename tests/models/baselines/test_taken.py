import torch

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.taken import TakenItems, history_matrix


def test_an_item_taken_twice_counts_once(catalog: Catalog, batch: SequenceBatch) -> None:
    taken = TakenItems(catalog)
    repeated = torch.tensor([[1, 1, 2], [12, 0, 0]])
    for _ in range(2):
        taken.observe(batch._replace(user_ids=torch.tensor([1, 3]), item_ids=repeated))
    taken.finish()
    matrix = taken.matrix().toarray()
    assert matrix.shape == (4, 13)
    assert matrix.nonzero()[0].tolist() == [1, 1, 3]
    assert matrix.nonzero()[1].tolist() == [1, 2, 12]
    assert matrix.sum() == 3.0


def test_history_counts_every_real_item() -> None:
    repeated = torch.tensor([[1, 1, 2], [12, 0, 0], [0, 0, 0]])
    expected = torch.zeros(3, 13)
    expected[0, 1], expected[0, 2], expected[1, 12] = 2.0, 1.0, 1.0
    assert history_matrix(repeated, 12).toarray().tolist() == expected.tolist()
