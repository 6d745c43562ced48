import pytest
import torch

from xrec_lightning.models.balance import FixedBalance, UncertaintyBalance

LOSSES = {"click": torch.tensor(0.5), "rating": torch.tensor(4.0)}


def test_fixed_weights_add_up() -> None:
    balance = FixedBalance().build({"click": 2.0, "rating": 0.5})
    assert balance(LOSSES).item() == pytest.approx(2.0 * 0.5 + 0.5 * 4.0)


def test_uncertainty_starts_as_the_weighted_sum() -> None:
    balance = UncertaintyBalance().build({"click": 2.0, "rating": 0.5})
    assert balance(LOSSES).item() == pytest.approx(3.0)


def test_uncertainty_learns_the_scale_of_each_loss() -> None:
    balance = UncertaintyBalance().build({"click": 1.0, "rating": 1.0})
    optimizer = torch.optim.SGD(balance.parameters(), lr=0.1)
    for _ in range(500):
        optimizer.zero_grad()
        balance(LOSSES).backward()
        optimizer.step()
    scales = {name: scale.exp().item() for name, scale in balance.log_scales.items()}
    assert scales == pytest.approx({"click": 0.5, "rating": 4.0}, rel=1e-3)


def test_a_task_without_a_batch_is_left_out() -> None:
    balance = UncertaintyBalance().build({"click": 1.0, "rating": 1.0})
    assert balance({"click": LOSSES["click"]}).item() == pytest.approx(0.5)
