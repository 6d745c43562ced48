"""Optimizers of fine-tuning: trainable weights only, rates by group, warm-up, then linear decay."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from xrec_lightning.models.language.tuning.adapters import has_adapter
from xrec_lightning.models.language.tuning.layers import is_language_model, layered_weights

Kind = Literal["language", "adapter", "head"]
FACTOR = "lr_factor"


@dataclass(frozen=True, kw_only=True)
class RatesConfig:
    """Learning rates of the parts of a tuned model, as factors of the optimizer's."""

    language: float = 1.0
    """Factor of the language model's own weights."""
    adapter: float = 1.0
    """Factor of the weights of an adapter."""
    head: float = 1.0
    """Factor of all that is not the language model."""
    layer_decay: float | None = None
    """Factor of a layer of the language model to the one above it, if its own weights are tuned."""

    def __post_init__(self) -> None:
        for name in ("language", "adapter", "head"):
            if getattr(self, name) <= 0.0:
                raise ValueError(
                    f"rates.{name}: {getattr(self, name)} is not above 0; to keep weights as they "
                    "are choose another tuning"
                )
        if self.layer_decay is not None and not 0.0 < self.layer_decay <= 1.0:
            raise ValueError(f"rates.layer_decay: {self.layer_decay} is not above 0 and at most 1")


torch.serialization.add_safe_globals([RatesConfig])


class _Settings(NamedTuple):
    """What the weights of a group have in common."""

    kind: Kind
    lr_factor: float
    decays: bool


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that require gradients."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def parameter_groups(module: nn.Module, rates: RatesConfig) -> list[dict[str, Any]]:
    """Return the trainable weights in groups for an optimizer, every weight once.

    Vectors do not decay: biases, norms, and the factors that adapters such as IA3 learn. A group
    has a ``name``, and the ``lr_factor`` that `build_optimizer` applies.
    """
    kinds, factors = _kinds(module), _layer_factors(module, rates)
    groups: dict[_Settings, list[nn.Parameter]] = {}
    for weight in trainable(module):
        kind = kinds.get(id(weight), "head")
        depth_factor = factors.get(id(weight), 1.0) if kind == "language" else 1.0
        settings = _Settings(kind, getattr(rates, kind) * depth_factor, _decays(weight, kind))
        groups.setdefault(settings, []).append(weight)
    return [
        {
            "params": weights,
            "name": f"{settings.kind} x{settings.lr_factor:g}{'' if settings.decays else ' flat'}",
            FACTOR: settings.lr_factor,
            **({} if settings.decays else {"weight_decay": 0.0}),
        }
        for settings, weights in groups.items()
    ]


def build_optimizer(
    module: nn.Module, optimizer: OptimizerCallable, rates: RatesConfig
) -> Optimizer:
    """Return an optimizer of the trainable weights whose groups have the rates of their kind.

    Call it before a schedule is made, which takes the rates of the groups as its highest.
    """
    built = optimizer(parameter_groups(module, rates))
    for group in built.param_groups:
        group["lr"] *= group[FACTOR]
    return built


def warmup_decay(optimizer: Optimizer, total_steps: float, warmup_share: float) -> LambdaLR:
    """Return a schedule from 0 up over the first steps and linearly down to 0 at the last.

    Args:
        optimizer: Holds the highest learning rate.
        total_steps: Optimizer steps of the whole run; infinite for a run without an end, which then
            never decays.
        warmup_share: Share of the steps that go up; of an endless run, 100 steps do.
    """
    endless = total_steps == float("inf")
    warmup = 100.0 if endless else max(1.0, warmup_share * total_steps)

    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / warmup)
        fall = 1.0 if endless else max(0.0, (total_steps - step) / max(1.0, total_steps - warmup))
        return min(rise, fall)

    return LambdaLR(optimizer, factor)


def with_warmup_decay(
    optimizer: Optimizer, trainer: Trainer, warmup_share: float
) -> OptimizerLRScheduler:
    """Return what `configure_optimizers` does: an optimizer whose rate follows `warmup_decay`."""
    schedule = warmup_decay(optimizer, trainer.estimated_stepping_batches, warmup_share)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _language_models(module: nn.Module) -> Iterator[nn.Module]:
    return (each for each in module.modules() if is_language_model(each))


def _kinds(module: nn.Module) -> dict[int, Kind]:
    """Return the kind of each weight of a language model, by its identity."""
    kinds: dict[int, Kind] = {}
    for model in _language_models(module):
        kinds |= {id(weight): "language" for weight in model.parameters()}
    for model in module.modules():
        if has_adapter(model):  # its base is frozen, so what is trained in it is the adapter
            kinds |= {id(weight): "adapter" for weight in model.parameters()}
    return kinds


def _decays(weight: nn.Parameter, kind: Kind) -> bool:
    is_vector = weight.numel() == max(weight.shape, default=1)
    return not is_vector if kind == "adapter" else weight.ndim > 1


def _layer_factors(module: nn.Module, rates: RatesConfig) -> dict[int, float]:
    """Return the factors of the layers' weights, by their identity."""
    if rates.layer_decay is None:
        return {}
    factors: dict[int, float] = {}
    for model in _language_models(module):
        weights = layered_weights(model)
        for depth, layer in enumerate([weights.below, *weights.layers]):
            factor = rates.layer_decay ** (len(weights.layers) - depth)
            factors |= {id(weight): factor for weight in layer}
    return factors
