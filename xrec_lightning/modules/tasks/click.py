"""The task "history and candidate as texts, to the probability of a choice"."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from xrec_lightning.batches import Catalog, ClickPredictions, PromptBatch
from xrec_lightning.metrics.binary import BinaryReport
from xrec_lightning.models.heads.click import ClickConfig
from xrec_lightning.models.language.tower import LanguageTower
from xrec_lightning.modules.tasks.base import Task, TaskConfig


@dataclass(frozen=True, kw_only=True)
class ClickTaskConfig(TaskConfig):
    """Predict whether a user chooses a candidate, by binary cross-entropy."""

    head: ClickConfig = field(default_factory=ClickConfig)
    """The classifier on the vectors of history and candidate."""

    @override
    def build(self, tower: LanguageTower, catalog: Catalog) -> "ClickTask":
        return ClickTask(self, tower)


torch.serialization.add_safe_globals([ClickTaskConfig])


class ClickTask(Task):
    """Binary cross-entropy of choices."""

    def __init__(self, config: ClickTaskConfig, tower: LanguageTower) -> None:
        super().__init__()
        self.head = config.head.build(tower.dim)
        self.metrics = BinaryReport(per_class=True)

    @override
    def forward(self, tower: LanguageTower, batch: PromptBatch) -> Tensor:
        """Return the logits of a choice, shape ``(B,)``."""
        return self.head(tower(batch.history), tower(batch.candidate))

    @override
    def loss(self, tower: LanguageTower, batch: PromptBatch) -> Tensor:
        return functional.binary_cross_entropy_with_logits(self(tower, batch), batch.labels)

    @override
    def evaluate(self, tower: LanguageTower, batch: PromptBatch) -> None:
        self.metrics.update(self(tower, batch), batch.labels)

    @override
    def report(self, *, detailed: bool) -> dict[str, Tensor]:
        figures = self.metrics.compute()
        self.metrics.reset()
        return {name: value for name, value in figures.items() if detailed or "/" not in name}

    @override
    def predict(self, tower: LanguageTower, batch: PromptBatch) -> ClickPredictions:
        probabilities = torch.sigmoid(self(tower, batch))
        return ClickPredictions(batch.user_ids, batch.item_ids, batch.domain_ids, probabilities)
