"""Exponential moving average of the weights."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override


class AverageWeights(Callback):
    """Validate, save and end with an exponential moving average of the weights.

    The module holds the averages whenever it is not training: in validation, before which the
    weights of the channels are fitted, in every checkpoint that is saved after it, and when the fit
    has ended. The weights of the optimizer come back with the next training batch, and are part of
    the checkpoint, so that a resumed run goes on exactly as it would have; other commands take the
    averages from any checkpoint as if nothing had been averaged. Buffers are not averaged: they
    hold ids and counts, and what was fitted for the averages.

    With ``warmup`` the average of step ``t`` keeps ``min(decay, (1 + t) / (10 + t))`` of the former
    one, lest a short run ends near its start (the schedule of TensorFlow's
    ``ExponentialMovingAverage``).

    Args:
        decay: Share of the former average that a step keeps.
        warmup: Whether early steps keep less.

    Raises:
        ValueError: If the decay is no share.
    """

    def __init__(self, decay: float = 0.999, warmup: bool = True) -> None:
        if not 0 <= decay < 1:
            raise ValueError(
                f"AverageWeights.decay is {decay}: set it from 0 to below 1, e.g. 0.999"
            )
        self.decay = decay
        self.warmup = warmup
        self._num_steps = 0
        self._others: list[Tensor] = []
        """What the module does not hold now: the averages in training, else the weights."""
        self._is_shown = False
        """Whether the module holds the averages."""
        self._loaded: dict[str, Any] | None = None

    def decay_at(self, step: int) -> float:
        """Return the share of the former average that a step, counted from 1, keeps.

        Example:
            >>> [round(AverageWeights(decay=0.9).decay_at(step), 3) for step in (1, 11, 1000)]
            [0.182, 0.571, 0.9]
        """
        return min(self.decay, (1 + step) / (10 + step)) if self.warmup else self.decay

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._num_steps = trainer.global_step
        self._others = [weight.clone() for weight in _weights(pl_module)]
        self._is_shown = False
        if self._loaded is not None:
            for other, loaded in zip(self._others, self._loaded["others"], strict=True):
                other.copy_(loaded)
            self._is_shown = self._loaded["is_shown"]
            self._loaded = None

    @override
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._show(pl_module, is_shown=False)

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step > self._num_steps:  # not while gradients are accumulated
            self._num_steps = trainer.global_step
            share = 1.0 - self.decay_at(self._num_steps)
            torch._foreach_lerp_(self._others, _weights(pl_module), share)

    @override
    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._show(pl_module, is_shown=True)

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._show(pl_module, is_shown=True)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._show(pl_module, is_shown=True)

    @override
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._others = []
        self._is_shown = False

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"others": list(self._others), "is_shown": self._is_shown}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._loaded = state_dict if state_dict["others"] else None

    def _show(self, module: LightningModule, *, is_shown: bool) -> None:
        """Let the module hold the averages, or the weights that are trained."""
        if self._is_shown == is_shown or not self._others:
            return
        self._is_shown = is_shown
        for weight, other in zip(_weights(module), self._others, strict=True):
            held = weight.clone()
            weight.copy_(other)
            other.copy_(held)  # in place: what is made in inference mode could not be trained


def _weights(module: LightningModule) -> list[Tensor]:
    return [weight.detach() for weight in module.parameters()]
