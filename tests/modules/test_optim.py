import pytest
import torch
from torch import nn

from xrec_lightning.modules.optim import trainable, warmup_decay


def rates(total_steps: float, share: float, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = warmup_decay(optimizer, total_steps, share)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_the_rate_rises_then_falls_linearly_to_zero() -> None:
    expected = [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0]
    assert rates(10, 0.2, 11) == pytest.approx(expected)


def test_an_endless_run_stays_at_the_top() -> None:
    found = rates(float("inf"), 0.1, 300)
    assert found[49] == pytest.approx(0.5)
    assert found[150:] == [1.0] * 150


def test_frozen_weights_are_left_out() -> None:
    layers = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    layers[0].requires_grad_(requires_grad=False)
    assert trainable(layers) == list(layers[1].parameters())
