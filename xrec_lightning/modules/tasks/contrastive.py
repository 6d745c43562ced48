"""The task "texts that belong together have like vectors"."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torchmetrics import MeanMetric
from typing_extensions import override

from xrec_lightning.batches import Catalog, PairBatch
from xrec_lightning.metrics.retrieval import PairRetrieval
from xrec_lightning.models.heads.contrastive import Contrast, ContrastiveConfig, across_ranks
from xrec_lightning.models.language.chunks import encode_in_chunks
from xrec_lightning.models.language.tower import LanguageTower
from xrec_lightning.modules.tasks.base import Task, TaskConfig


@dataclass(frozen=True, kw_only=True)
class ContrastiveTaskConfig(TaskConfig):
    """Draw the vectors of pairs of texts together; validated by finding held-out pairs."""

    head: ContrastiveConfig = field(default_factory=ContrastiveConfig)
    """The contrastive loss."""
    chunk_size: int | None = None
    """Texts whose activations are kept at once, which lets large batches fit at the price of a
    second forward pass; by default all."""
    across_ranks: bool = True
    """Whether the pairs of all processes are negatives of each other."""

    @override
    def build(self, tower: LanguageTower, catalog: Catalog) -> "ContrastiveTask":
        return ContrastiveTask(self)


torch.serialization.add_safe_globals([ContrastiveTaskConfig])


class ContrastiveTask(Task):
    """InfoNCE over pairs of texts."""

    def __init__(self, config: ContrastiveTaskConfig) -> None:
        super().__init__()
        self.chunk_size = config.chunk_size
        self.across_ranks = config.across_ranks
        self.head = config.head.build()
        self.retrieval = PairRetrieval()
        self.mean_loss = MeanMetric()

    @override
    def loss(self, tower: LanguageTower, batch: PairBatch) -> Tensor:
        left, right = (
            encode_in_chunks(tower, text, self.chunk_size) for text in (batch.left, batch.right)
        )
        pairs = left, right, _contrast(batch)
        return self.head(*(across_ranks(*pairs) if self.across_ranks else pairs))

    @override
    def evaluate(self, tower: LanguageTower, batch: PairBatch) -> None:
        left, right = tower(batch.left), tower(batch.right)
        self.mean_loss.update(self.head(left, right, _contrast(batch)), weight=len(left))
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


def _contrast(batch: PairBatch) -> Contrast:
    return Contrast(
        key_ids=batch.right_ids,
        seen_ids=batch.left_ids[:, None],
        key_log_q=batch.right_log_q,
        query_log_q=batch.left_log_q,
    )
