"""The contract of a fine-tuning task."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from xrec_lightning.batches import Catalog
from xrec_lightning.models.language.tower import LanguageTower


@dataclass(frozen=True, kw_only=True)
class TaskConfig(ABC):
    """What a language model is fine-tuned for."""

    weight: float = 1.0
    """Factor of the loss among those of several tasks."""

    @abstractmethod
    def build(self, tower: LanguageTower, catalog: Catalog) -> "Task":
        """Return the task on top of ``tower``; it keeps no reference to it."""


class Task(nn.Module, ABC):
    """A head on a language tower, with its loss and its metrics.

    The tower is passed to each call: several tasks share one.
    """

    @abstractmethod
    def loss(self, tower: LanguageTower, batch: Any) -> Tensor:
        """Return the training loss of a batch, shape ``()``."""

    @abstractmethod
    def evaluate(self, tower: LanguageTower, batch: Any) -> None:
        """Add a batch to the metrics."""

    @abstractmethod
    def report(self, *, detailed: bool) -> dict[str, Tensor]:
        """Return the figures of all batches since the last call, ``loss`` among them.

        Args:
            detailed: Whether those of each class, domain or slice are among them.
        """

    def predict(self, tower: LanguageTower, batch: Any) -> Any:
        """Return what a predict run writes for a batch.

        Raises:
            NotImplementedError: If the task has nothing to say about single examples.
        """
        raise NotImplementedError(
            f"{type(self).__name__} predicts nothing; run `xrec test`, or `xrec embed` for vectors"
        )

    def follow(self, progress: float) -> None:
        """Take note, before each training batch, of the share of the run that is done, 0 to 1.

        A run without an end is always done.
        """

    def watched(self) -> dict[str, Tensor]:
        """Return values of the head to be logged in training, such as a temperature."""
        return {}
