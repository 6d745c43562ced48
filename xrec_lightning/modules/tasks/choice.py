"""What all tasks share that tell chosen candidates from others."""

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.metrics.binary import BinaryReport
from xrec_lightning.models.language.tower import LanguageTower
from xrec_lightning.modules.tasks.base import Task
from xrec_lightning.modules.tasks.prompts import AnyPromptBatch, ReferenceAreas, refuse_ratings
from xrec_lightning.predictions import ClickPredictions


class ChoiceTask(Task):
    """Binary cross-entropy of choices, their figures, and their probabilities.

    The test reports the AUC of popularity beside that of the head, which is about a half where
    negatives are as popular as choices, and that of text-kNN where the data have a knowledge store.

    Args:
        catalog: What the data knows.

    Raises:
        ValueError: If the data ask for ratings.
    """

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()
        refuse_ratings(catalog)
        self.metrics = BinaryReport(catalog.domains, detailed=True)
        self.references = ReferenceAreas(catalog)

    @override
    @abstractmethod
    def forward(self, tower: LanguageTower, batch: AnyPromptBatch) -> Tensor:
        """Return the logits of a choice, shape ``(B,)``."""

    @override
    def loss(self, tower: LanguageTower, batch: AnyPromptBatch) -> Tensor:
        return functional.binary_cross_entropy_with_logits(self(tower, batch), batch.labels)

    @override
    def evaluate(self, tower: LanguageTower, batch: AnyPromptBatch) -> None:
        self.metrics.update(self(tower, batch), batch.labels, batch.domain_ids)
        self.references.update(batch)

    @override
    def report(self, *, detailed: bool) -> dict[str, Tensor]:
        figures, references = self.metrics.compute(), self.references.compute()
        self.metrics.reset()
        self.references.reset()
        if detailed:
            return figures | references
        return {name: value for name, value in figures.items() if "/" not in name}

    @override
    def predict(self, tower: LanguageTower, batch: AnyPromptBatch) -> ClickPredictions:
        probabilities = torch.sigmoid(self(tower, batch))
        return ClickPredictions(batch.user_ids, batch.item_ids, batch.domain_ids, probabilities)
