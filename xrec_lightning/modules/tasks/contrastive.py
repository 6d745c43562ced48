"""The task "texts that belong together have like vectors"."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torchmetrics import MeanMetric
from typing_extensions import override

from xrec_lightning.batches import Catalog, PairBatch
from xrec_lightning.metrics.retrieval import PairRetrieval
from xrec_lightning.models.heads.contrastive import ContrastiveConfig
from xrec_lightning.models.language.tower import LanguageTower
from xrec_lightning.modules.tasks.base import Task, TaskConfig


@dataclass(frozen=True, kw_only=True)
class ContrastiveTaskConfig(TaskConfig):
    """Draw the vectors of pairs of texts together; validated by finding held-out pairs."""

    head: ContrastiveConfig = field(default_factory=ContrastiveConfig)
    """The contrastive loss."""

    @override
    def build(self, tower: LanguageTower, catalog: Catalog) -> "ContrastiveTask":
        return ContrastiveTask(self)


torch.serialization.add_safe_globals([ContrastiveTaskConfig])


class ContrastiveTask(Task):
    """Symmetric InfoNCE over pairs of texts."""

    def __init__(self, config: ContrastiveTaskConfig) -> None:
        super().__init__()
        self.head = config.head.build()
        self.retrieval = PairRetrieval()
        self.mean_loss = MeanMetric()

    @override
    def loss(self, tower: LanguageTower, batch: PairBatch) -> Tensor:
        left, right = tower(batch.left), tower(batch.right)
        return self.head(left, right, batch.left_ids, batch.right_ids)

    @override
    def evaluate(self, tower: LanguageTower, batch: PairBatch) -> None:
        left, right = tower(batch.left), tower(batch.right)
        loss = self.head(left, right, batch.left_ids, batch.right_ids)
        self.mean_loss.update(loss, weight=len(batch.left_ids))
        self.retrieval.update(left, right, batch.left_ids, batch.right_ids)

    @override
    def report(self, *, detailed: bool) -> dict[str, Tensor]:
        figures = {"loss": self.mean_loss.compute(), **self.retrieval.compute()}
        self.mean_loss.reset()
        self.retrieval.reset()
        return figures

    @override
    def watched(self) -> dict[str, Tensor]:
        return {"temperature": self.head.temperature}
