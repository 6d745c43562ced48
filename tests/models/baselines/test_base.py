import torch

from xrec_lightning.models.baselines.base import SparseCounts


def test_counts_equal_pairs_over_batches() -> None:
    counts = SparseCounts(4)
    counts.add(torch.tensor([1, 1, 3]), torch.tensor([2, 2, 0]))
    counts.add(torch.tensor([1, 3]), torch.tensor([2, 3]))
    counts.finish()
    expected = [[0, 0, 0, 0], [0, 0, 3, 0], [0, 0, 0, 0], [1, 0, 0, 1]]
    assert counts.matrix().toarray().tolist() == expected


def test_counts_survive_a_checkpoint() -> None:
    counts, restored = SparseCounts(3), SparseCounts(3)
    counts.add(torch.tensor([2]), torch.tensor([1]))
    counts.finish()
    restored.load_state_dict(counts.state_dict())
    assert restored.matrix().toarray().tolist() == counts.matrix().toarray().tolist()


def test_nothing_counted_is_an_empty_matrix() -> None:
    counts = SparseCounts(2)
    counts.finish()
    assert counts.matrix().nnz == 0
