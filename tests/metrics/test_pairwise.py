import torch

from xrec_lightning.metrics.pairwise import PairwiseAccuracy


def test_shares_are_worked_by_hand_over_batches() -> None:
    accuracy = PairwiseAccuracy(["tea", "pots", "none"])
    accuracy.update(torch.tensor([1.0, 0.5, -3.0]), torch.tensor([1, 2, 2]))
    accuracy.update(torch.tensor([0.0]), torch.tensor([2]))
    assert {name: value.item() for name, value in accuracy.compute().items()} == {
        "pairwise_accuracy": 2.5 / 4,
        "pairwise_accuracy/tea": 1.0,
        "pairwise_accuracy/pots": 0.5,
    }
    accuracy.reset()
    accuracy.update(torch.tensor([-1.0]), torch.tensor([1]))
    assert accuracy.compute()["pairwise_accuracy"] == 0
