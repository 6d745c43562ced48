import numpy as np
import pytest
import torch
from peers.quality import LENGTH, BestEpoch, Ranking, Split, Targets
from torch import Tensor, nn

# Items 1 to 4 are of domain 1, items 5 and 6 of domain 2; training knows all but item 4.
KNOWN = np.array([6, 1, 2, 3, 5])
SCORES = torch.tensor([9.0, 3.0, 2.0, 2.0, 7.0])


def make_split() -> Split:
    is_candidate = np.zeros((3, 7), dtype=bool)
    is_candidate[1, 1:5] = is_candidate[2, 5:] = True
    targets = Targets(
        histories=np.array([[6, 4, 1], [1, 2, 0], [4, 0, 0], [1, 0, 0]]),
        seen=np.array([[6, 4, 1], [1, 0, 0], [0, 0, 0], [6, 0, 0]]),
        items=np.array([2, 2, 4, 5]),
        domains=np.array([1, 1, 1, 2]),
        slices=np.array([[True], [True], [True], [False]]),
    )
    events = np.array([0, 0, 0, 1, 1])
    return Split(events, KNOWN, is_candidate, ["first"], targets, targets)


def test_ranking() -> None:
    split, inputs = make_split(), []

    def score(histories: Tensor) -> Tensor:
        inputs.append(histories)
        return SCORES.expand(len(histories), -1)

    figures = Ranking(split, KNOWN, np.arange(10, 15), padding=9).ndcg(split.val, score)
    # Item 2 ties with item 3, and item 1 was seen; item 4, unknown, is the last of four; the better
    # item 6 was seen.
    gains = [1 / np.log2(1 + rank) for rank in (2, 2, 4, 1)]
    assert figures == pytest.approx({"all": np.mean(gains), "first": np.mean(gains[:3])})
    assert inputs[0].shape == (4, LENGTH)
    assert inputs[0][:, -3:].tolist() == [[9, 10, 11], [9, 11, 12], [9, 9, 9], [9, 9, 11]]
    assert (inputs[0][:, :-3] == 9).all()


def test_best_epoch() -> None:
    split = make_split()
    model = nn.Linear(1, 1, bias=False)
    best = BestEpoch(Ranking(split, KNOWN, np.arange(5), padding=5), every=2, patience=2)
    stops = []
    for epochs, item in enumerate((4, 4, 2, 2, 4, 4, 4, 4), start=1):  # the item that is first
        nn.init.constant_(model.weight, epochs)
        scores = SCORES + 10.0 * torch.from_numpy(item == KNOWN)
        stops.append(
            best.check(epochs, model, lambda rows, each=scores: each.expand(len(rows), -1))
        )
    assert stops == [False] * 7 + [True]
    assert best.epochs == 4
    assert best.weights["weight"].item() == 4
