"""What every term that is added to the training loss promises."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from xrec_lightning.batches import Catalog
from xrec_lightning.models.fusion import FusionScorer
from xrec_lightning.models.objectives import LossConfig
from xrec_lightning.models.training_pass import TrainingStep


class Regularizer(nn.Module, ABC):
    """A term that is added to the loss of a training step. It has no say in scores."""

    name: str
    """Name in logs: ``train/<name>``."""

    @abstractmethod
    def forward(self, step: TrainingStep) -> Tensor:
        """Return what is added to the loss, its weight included, shape ``()``."""


@dataclass(frozen=True, kw_only=True)
class RegularizerConfig(ABC):
    """Settings of a term that is added to the training loss."""

    weight: float = 1.0
    """Factor of the term."""

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ValueError(
                f"{type(self).__name__}.weight is {self.weight}: set it above 0, or take the "
                "regularizer out of the list"
            )

    @abstractmethod
    def build(self, catalog: Catalog, scorer: FusionScorer, loss: LossConfig) -> Regularizer:
        """Return the term for the channels of ``scorer``, which are trained with ``loss``.

        Raises:
            ValueError: If it does not fit them.
        """
