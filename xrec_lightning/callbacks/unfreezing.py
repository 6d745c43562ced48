"""Training the layers of a language model one after another, the last one first."""

import logging

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from typing_extensions import override

from xrec_lightning.models.language.tuning.layers import is_language_model, layered_weights

logger = logging.getLogger(__name__)


class GradualUnfreezing(Callback):
    """Train the last layers first and let one after another join, with the embeddings at the end.

    Howard and Ruder, 2018, arXiv:1801.06146. Which layers are trained follows from the epoch alone,
    so a resumed run goes on as it was. What the tuning froze stays frozen; what is beside the
    language model, such as a head, is trained from the start. The optimizer holds all weights from
    the start and does not touch those without a gradient: no update, no decay, no momentum.

    With several devices set ``trainer.strategy: ddp_find_unused_parameters_true``.

    Args:
        start_epoch: First epoch in which a layer of the language model is trained.
        every_n_epochs: Epochs until more layers join.
        layers_per_step: Layers that join at a time.
    """

    def __init__(
        self, start_epoch: int = 0, every_n_epochs: int = 1, layers_per_step: int = 1
    ) -> None:
        for name, value, least in (
            ("start_epoch", start_epoch, 0),
            ("every_n_epochs", every_n_epochs, 1),
            ("layers_per_step", layers_per_step, 1),
        ):
            if value < least:
                raise ValueError(f"GradualUnfreezing.{name}: {value} is not at least {least}")
        self.start_epoch = start_epoch
        self.every_n_epochs = every_n_epochs
        self.layers_per_step = layers_per_step
        self._steps: list[list[nn.Parameter]] = []

    def num_trained(self, epoch: int) -> int:
        """Return how many layers are trained in an epoch, if there are so many.

        Example:
            >>> schedule = GradualUnfreezing(start_epoch=1, every_n_epochs=2)
            >>> [schedule.num_trained(epoch) for epoch in range(6)]
            [0, 1, 1, 2, 2, 3]
        """
        if epoch < self.start_epoch:
            return 0
        return (1 + (epoch - self.start_epoch) // self.every_n_epochs) * self.layers_per_step

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # After `configure_optimizers`, so the optimizer has all; before a step, so none has state.
        model = next((m for m in pl_module.modules() if is_language_model(m)), None)
        if model is None:
            raise TypeError(
                f"{type(pl_module).__name__} has no language model to unfreeze: remove "
                "GradualUnfreezing from trainer.callbacks"
            )
        weights = layered_weights(model)
        *lower, last = weights.layers
        deepest_last = [[*last, *weights.above], *reversed(lower), weights.below]
        self._steps = [[w for w in layer if w.requires_grad] for layer in deepest_last]
        self._freeze_all()

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._freeze_all()
        count = self.num_trained(trainer.current_epoch)
        for weight in (weight for step in self._steps[:count] for weight in step):
            weight.requires_grad_(True)
        if count <= len(self._steps):
            logger.info("epoch %d: the last %d layers are trained", trainer.current_epoch, count)

    @override
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for weight in (weight for step in self._steps for weight in step):
            weight.requires_grad_(True)

    def _freeze_all(self) -> None:
        for weight in (weight for step in self._steps for weight in step):
            weight.requires_grad_(False)
