"""What all tasks share that tell chosen candidates from others."""

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from xrec_lightning.batches import Catalog, ClickPredictions
from xrec_lightning.metrics.binary import BinaryReport
from xrec_lightning.models.language.tower import LanguageTower
from xrec_lightning.modules.tasks.base import Task
from xrec_lightning.modules.tasks.prompts import AnyPromptBatch


class ChoiceTask(Task):
    """Binary cross-entropy of choices, their figures, and their probabilities."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()
        self.metrics = BinaryReport(per_class=True)

    @override
    @abstractmethod
    def forward(self, tower: LanguageTower, batch: AnyPromptBatch) -> Tensor:
        """Return the logits of a choice, shape ``(B,)``."""

    @override
    def loss(self, tower: LanguageTower, batch: AnyPromptBatch) -> Tensor:
        return functional.binary_cross_entropy_with_logits(self(tower, batch), batch.labels)

    @override
    def evaluate(self, tower: LanguageTower, batch: AnyPromptBatch) -> None:
        self.metrics.update(self(tower, batch), batch.labels)

    @override
    def report(self, *, detailed: bool) -> dict[str, Tensor]:
        figures = self.metrics.compute()
        self.metrics.reset()
        return {name: value for name, value in figures.items() if detailed or "/" not in name}

    @override
    def predict(self, tower: LanguageTower, batch: AnyPromptBatch) -> ClickPredictions:
        probabilities = torch.sigmoid(self(tower, batch))
        return ClickPredictions(batch.user_ids, batch.item_ids, batch.domain_ids, probabilities)
