import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from xrec_lightning.metrics.calibration import brier_score, calibration_error


def test_errors_are_worked_by_hand() -> None:
    probabilities = torch.tensor([0.9, 0.1, 0.2, 0.8])
    labels = torch.tensor([1, 0, 1, 0])
    # Bins of equal mass: .1 and .2 with half of them yes, .8 and .9 likewise.
    error = calibration_error(probabilities, labels, num_bins=2)
    assert error.item() == pytest.approx((0.35 + 0.35) / 2)
    one_each = (0.1 + 0.1 + 0.8 + 0.8) / 4
    assert calibration_error(probabilities, labels, num_bins=4).item() == pytest.approx(one_each)
    assert calibration_error(probabilities, labels, num_bins=99).item() == pytest.approx(one_each)


def test_bins_are_those_of_a_sorted_split() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.random(103)
    labels = (generator.random(103) < probabilities**2).astype(int)
    order = np.argsort(probabilities)
    bins = np.array_split(order, 15)
    expected = sum(abs(probabilities[b].mean() - labels[b].mean()) * len(b) / 103 for b in bins)
    found = calibration_error(torch.from_numpy(probabilities), torch.from_numpy(labels))
    assert found.item() == pytest.approx(expected)


@given(st.permutations(range(8)))
def test_the_order_of_ties_does_not_count(order: list[int]) -> None:
    probabilities = torch.tensor([0.5] * 6 + [0.7] * 2)
    labels = torch.tensor([1, 1, 1, 0, 0, 0, 1, 0])
    error = calibration_error(probabilities[order], labels[order], num_bins=4)
    assert error.item() == pytest.approx(0.25 * 0.2)


def test_the_brier_score_is_that_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(50, generator=generator)
    labels = (torch.rand(50, generator=generator) < 0.4).long()
    expected = brier_score_loss(labels.numpy(), probabilities.double().numpy())
    assert brier_score(probabilities, labels).item() == pytest.approx(expected)
