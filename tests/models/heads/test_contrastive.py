import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from xrec_lightning.models.heads.contrastive import ContrastiveConfig


def reference(left: np.ndarray, right: np.ndarray, pairs: list[tuple[int, int]], t: float) -> float:
    """InfoNCE written as loops."""
    left = left / np.linalg.norm(left, axis=1, keepdims=True)
    right = right / np.linalg.norm(right, axis=1, keepdims=True)
    total = 0.0
    for i, (mine, other) in enumerate(pairs):
        for queries, keys, side in ((left, right, 1), (right, left, 0)):
            logits = []
            for j, pair in enumerate(pairs):
                clash = (
                    pair[0] == mine or pair[1] == other or pair[side] == pairs[i][1 - side]
                ) and i != j
                logits.append(-np.inf if clash else queries[i] @ keys[j] / t)
            total -= log_softmax(np.array(logits))[i] / 2
    return total / len(pairs)


@pytest.mark.parametrize(
    "pairs",
    [
        [(1, 2), (3, 4), (5, 6), (7, 8)],  # nothing shared
        [(1, 2), (1, 4), (5, 2), (2, 8)],  # shared left, shared right, crossed
        [(1, 2), (1, 2), (3, 1), (1, 2)],
    ],
)
def test_the_loss_equals_one_written_as_loops(pairs: list[tuple[int, int]]) -> None:
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, 4, 3, generator=generator)
    left_ids, right_ids = torch.tensor(pairs).T
    head = ContrastiveConfig(temperature=0.2).build()
    expected = reference(left.numpy(), right.numpy(), pairs, 0.2)
    assert head(left, right, left_ids, right_ids).item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_equal_vectors_is_that_of_a_guess() -> None:
    ids = torch.arange(16).reshape(2, 8)
    loss = ContrastiveConfig().build()(torch.ones(8, 4), torch.ones(8, 4), *ids)
    assert loss.item() == pytest.approx(math.log(8), rel=1e-5)


def test_the_temperature_is_learned_and_bounded() -> None:
    head = ContrastiveConfig(temperature=0.07, min_temperature=0.01).build()
    assert head.temperature.item() == pytest.approx(0.07)
    vectors = torch.eye(4)
    head(vectors, vectors, *torch.arange(8).reshape(2, 4)).backward()
    assert head.log_temperature.grad is not None
    assert head.log_temperature.grad.item() > 0  # a perfect match asks for a lower temperature
    head.log_temperature.data.fill_(-100.0)
    assert head.temperature.item() == pytest.approx(0.01)
