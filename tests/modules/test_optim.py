from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.base import TuningConfig
from xrec_lightning.models.language.tuning.bottleneck import BottleneckTuning
from xrec_lightning.models.language.tuning.full import FullTuning
from xrec_lightning.models.language.tuning.lora import LoraTuning
from xrec_lightning.models.language.tuning.vectors import Ia3Tuning
from xrec_lightning.modules.optim import (
    RatesConfig,
    build_optimizer,
    parameter_groups,
    trainable,
    warmup_decay,
)


class Tuned(nn.Module):
    """A tuned tower and a head."""

    def __init__(self, tiny_language: str, tuning: TuningConfig) -> None:
        super().__init__()
        self.head = nn.Linear(16, 1)
        config = TowerConfig(model=tiny_language)
        self.tower = config.build(tuning.apply(config.load()))


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


@pytest.mark.parametrize(
    "tuning", [FullTuning(), LoraTuning(rank=2), Ia3Tuning(), BottleneckTuning(bottleneck_dim=2)]
)
def test_every_trained_weight_is_in_one_group(tuning: TuningConfig, tiny_language: str) -> None:
    module = Tuned(tiny_language, tuning)
    groups = parameter_groups(module, RatesConfig(layer_decay=0.5))
    found = [id(weight) for group in groups for weight in group["params"]]
    assert sorted(found) == sorted(id(weight) for weight in trainable(module))
    assert len({group["name"] for group in groups}) == len(groups)


@pytest.mark.parametrize(
    ("tuning", "kind", "factor"),
    [(FullTuning(), "language", 0.5), (LoraTuning(rank=2), "adapter", 4.0)],
)
def test_each_kind_has_its_rate_before_the_schedule(
    tuning: TuningConfig, kind: str, factor: float, tiny_language: str
) -> None:
    module = Tuned(tiny_language, tuning)
    rates = RatesConfig(language=0.5, adapter=4.0, head=10.0)
    optimizer = build_optimizer(module, partial(AdamW, lr=1e-3), rates)
    found = {group["name"].split()[0]: group["lr"] for group in optimizer.param_groups}
    assert found == pytest.approx({kind: factor * 1e-3, "head": 1e-2})
    schedule = warmup_decay(optimizer, 10, 0.2)
    assert schedule.get_last_lr() == [0.5 * group["initial_lr"] for group in optimizer.param_groups]
    head = next(g for g in optimizer.param_groups if g["name"].startswith("head"))
    assert {id(weight) for weight in head["params"]} <= {id(w) for w in module.head.parameters()}


def test_vectors_do_not_decay_and_matrices_do(tiny_language: str) -> None:
    def decaying(tuning: TuningConfig) -> dict[str, bool]:
        module = Tuned(tiny_language, tuning)
        optimizer = build_optimizer(module, partial(AdamW, weight_decay=0.1), RatesConfig())
        names = {id(weight): name for name, weight in module.named_parameters()}
        return {
            names[id(weight)]: group["weight_decay"] > 0
            for group in optimizer.param_groups
            for weight in group["params"]
        }

    full = decaying(FullTuning())
    assert all(
        decays == name.endswith("weight") for name, decays in full.items() if "Norm" not in name
    )
    assert not any(decays for name, decays in full.items() if "Norm" in name)
    assert full["head.weight"]  # a matrix with one row
    ia3 = decaying(Ia3Tuning())
    assert [name for name, decays in ia3.items() if decays] == ["head.weight"]


def test_lower_layers_learn_more_slowly(tiny_language: str) -> None:
    module = Tuned(tiny_language, FullTuning(freeze_embeddings=False))
    optimizer = build_optimizer(module, partial(SGD, lr=1.0), RatesConfig(layer_decay=0.5))
    names = {id(weight): name for name, weight in module.named_parameters()}
    rate = {
        names[id(weight)]: group["lr"]
        for group in optimizer.param_groups
        for weight in group["params"]
    }
    for name, found in rate.items():
        expected = 0.25 if ".embeddings." in name else 0.5 if ".layer.0." in name else 1.0
        assert found == expected, name
    assert sum(found == 0.25 for found in rate.values()) == 5


def test_layers_of_an_adapter_learn_alike(tiny_language: str) -> None:
    groups = parameter_groups(
        Tuned(tiny_language, LoraTuning(rank=2)), RatesConfig(layer_decay=0.5)
    )
    assert {group["lr_factor"] for group in groups} == {1.0}


def test_without_a_language_model_all_is_head() -> None:
    (weights, biases) = parameter_groups(nn.Linear(3, 2), RatesConfig(head=2.0))
    assert (weights["name"], biases["name"]) == ("head x2", "head x2 flat")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"language": 0.0}, "language: 0.0 is not above 0"),
        ({"layer_decay": 1.5}, "layer_decay: 1.5"),
    ],
)
def test_rates_that_train_nothing_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RatesConfig(**wrong)
