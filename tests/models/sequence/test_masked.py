import torch

from xrec_lightning.batches import SequenceBatch
from xrec_lightning.models.sequence.masked import hidden_targets, hide_targets


def test_some_items_of_every_history_are_targets(batch: SequenceBatch) -> None:
    batch = batch._replace(times=torch.tensor([[10, 20, 20, 40], [10, 10, 0, 0], [0, 0, 0, 0]]))
    counts = torch.zeros(3, 4)
    for _ in range(400):
        hidden = hide_targets(batch, 0.25)
        is_target = hidden.target_ids > 0
        assert is_target.any(dim=1).tolist() == [True, True, False]
        assert torch.equal(hidden.target_ids, batch.item_ids * is_target)
        assert torch.equal(hidden.target_domain_ids, batch.domain_ids * is_target)
        assert torch.equal(hidden.target_weights, is_target.float())
        earlier = torch.tensor([[-1, 0, 0, 2], [-1, -1, -1, -1], [-1, -1, -1, -1]])
        assert torch.equal(hidden.state_positions, torch.where(is_target, earlier, -1))
        counts += is_target
    # One of four at least: 0.25 each, and each alone where none would be: 0.75 ** 4 / 4.
    assert (counts[0] / 400 - 0.329).abs().max() < 0.08
    assert counts[1, 2:].sum() == 0


def test_only_domains_that_had_targets_are_hidden(batch: SequenceBatch) -> None:
    batch = batch._replace(target_domain_ids=torch.tensor([[2], [0], [2]]))
    hidden = hide_targets(batch, 1.0)
    assert hidden.target_ids.tolist() == [[0, 7, 0, 8], [0, 9, 0, 0], [0, 0, 0, 0]]


def test_targets_keep_their_weights(batch: SequenceBatch) -> None:
    batch = batch._replace(
        target_ids=batch.item_ids * torch.tensor([0, 1, 1, 1]),
        target_domain_ids=batch.domain_ids,
        target_weights=torch.tensor([[0.0, 1.0, 2.0, 1.0], [0.0, 4.0, 0.0, 0.0], [0.0] * 4]),
    )
    hidden = hide_targets(batch, 1.0)
    assert hidden.target_weights.tolist() == [[2, 1, 2, 1], [2, 4, 0, 0], [0, 0, 0, 0]]


def test_hidden_targets_are_told_from_targets_elsewhere(batch: SequenceBatch) -> None:
    hidden = hide_targets(batch, 0.5)
    is_hidden = hidden_targets(hidden)
    assert is_hidden is not None
    assert torch.equal(is_hidden, hidden.target_ids > 0)
    assert hidden_targets(batch) is None
    assert hidden_targets(hidden._replace(target_ids=hidden.target_ids.flip(0))) is None
