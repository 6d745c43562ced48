"""The task "a text, to its class"."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from xrec_lightning.batches import Catalog, LabeledTextBatch
from xrec_lightning.metrics.multiclass import MulticlassReport
from xrec_lightning.models.heads.multiclass import MulticlassConfig
from xrec_lightning.models.language.tower import LanguageTower
from xrec_lightning.modules.tasks.base import Task, TaskConfig
from xrec_lightning.predictions import ClassPredictions


@dataclass(frozen=True, kw_only=True)
class MulticlassTaskConfig(TaskConfig):
    """Predict the class of a text, by cross-entropy."""

    head: MulticlassConfig = field(default_factory=MulticlassConfig)
    """What makes of the vector of a text the logits of the classes."""
    class_weights: Literal["equal", "balanced"] = "equal"
    """Whether all texts count the same in training, or all classes: `balanced` weighs a text by the
    inverse of the size of its class."""
    label_smoothing: float = 0.0
    """Probability in the training targets that is spread over all classes."""

    @override
    def build(self, tower: LanguageTower, catalog: Catalog) -> "MulticlassTask":
        """Return the task.

        Raises:
            ValueError: If the data have no classes.
        """
        if not catalog.classes:
            raise ValueError(
                f"{type(self).__name__} learns classes, and the data have none: take "
                "xrec_lightning.data.datamodules.labeled_texts.LabeledTextDataModule"
            )
        return MulticlassTask(self, tower, catalog)


torch.serialization.add_safe_globals([MulticlassTaskConfig])


class MulticlassTask(Task):
    """Cross-entropy of classes."""

    class_weights: Tensor | None

    def __init__(
        self, config: MulticlassTaskConfig, tower: LanguageTower, catalog: Catalog
    ) -> None:
        super().__init__()
        self.head = config.head.build(tower.dim, len(catalog.classes))
        self.label_smoothing = config.label_smoothing
        weights = None
        if config.class_weights == "balanced":
            counts = torch.tensor(catalog.class_counts, dtype=torch.float32)
            weights = counts.sum() / (len(counts) * counts)  # their mean over texts is 1
        self.register_buffer("class_weights", weights, persistent=False)
        self.metrics = MulticlassReport(catalog.classes, catalog.domains, detailed=True)

    @override
    def forward(self, tower: LanguageTower, batch: LabeledTextBatch) -> Tensor:
        """Return the logits of the classes, shape ``(B, C)``."""
        return self.head(tower(batch.text))

    @override
    def loss(self, tower: LanguageTower, batch: LabeledTextBatch) -> Tensor:
        return functional.cross_entropy(
            self(tower, batch),
            batch.labels,
            weight=self.class_weights,
            label_smoothing=self.label_smoothing,
        )

    @override
    def evaluate(self, tower: LanguageTower, batch: LabeledTextBatch) -> None:
        self.metrics.update(self(tower, batch), batch.labels, batch.domain_ids)

    @override
    def report(self, *, detailed: bool) -> dict[str, Tensor]:
        figures = self.metrics.compute()
        self.metrics.reset()
        return {name: value for name, value in figures.items() if detailed or "/" not in name}

    @override
    def predict(self, tower: LanguageTower, batch: LabeledTextBatch) -> ClassPredictions:
        probabilities, class_ids = self(tower, batch).softmax(dim=1).max(dim=1)
        return ClassPredictions(
            batch.user_ids, batch.item_ids, batch.domain_ids, class_ids, probabilities
        )
