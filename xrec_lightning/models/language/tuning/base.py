"""What every way of tuning a language model offers to the module that trains it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn
from transformers import PreTrainedModel


@dataclass(frozen=True, kw_only=True)
class TuningConfig(ABC):
    """Which weights of a language model are trained.

    The three hooks are for methods that have a schedule or a loss of their own. What they change
    must lie in the ``state_dict`` of the model or follow from the step, so that a resumed run goes
    on as if it had never stopped.
    """

    @abstractmethod
    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Return the model with the trained weights requiring gradients and the others not."""

    def start(self, model: nn.Module, total_steps: float) -> None:  # noqa: B027 - most need nothing
        """Prepare the model that `apply` returned for a run.

        Args:
            model: The tuned model.
            total_steps: Optimizer steps of the whole run, those before a resume included; infinite
                for a run without an end.
        """

    def after_step(self, model: nn.Module, step: int) -> None:  # noqa: B027 - most need nothing
        """Follow an optimizer step whose gradients have not been zeroed yet.

        Args:
            model: The tuned model.
            step: Optimizer steps done so far, this one included.
        """

    def penalty(self, model: nn.Module) -> Tensor | None:
        """Return what is added to the loss of a batch, a scalar, or None."""
        return None


def require_plain(model: nn.Module) -> None:
    """Refuse a model that has an adapter already.

    Raises:
        ValueError: If it is no plain model, because its adapter could not be merged.
    """
    if not isinstance(model, PreTrainedModel):
        raise ValueError(  # noqa: TRY004 - it is a setting of the user that is wrong
            f"{type(model).__name__} cannot be tuned: tower.adapter names an adapter that cannot "
            "be merged into the weights; remove it, or continue the run that trained it"
        )


def trainable_share(model: nn.Module) -> float:
    """Return the share of the weights that require gradients.

    Example:
        >>> model = nn.Linear(3, 1)
        >>> model.bias.requires_grad_(False) is model.bias
        True
        >>> trainable_share(model)
        0.75
    """
    weights = [(weight.numel(), weight.requires_grad) for weight in model.parameters()]
    total = sum(count for count, _ in weights)
    return sum(count for count, trained in weights if trained) / max(1, total)
