"""Optimizers of fine-tuning: trainable weights only, warm-up, then linear decay."""

from lightning.pytorch import Trainer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that require gradients."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


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
