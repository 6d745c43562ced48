"""Fit a baseline by one pass over the training interactions."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.metrics.ranking import RankMetric
from xrec_lightning.models.baselines.base import BaselineConfig
from xrec_lightning.modules.ranking import RankingModule


class BaselineRecommender(RankingModule):
    """Count training interactions for one epoch, then score without gradients.

    The datamodule must hand out whole histories (a ``max_seq_len`` above the longest one), so that
    every interaction is counted once.

    Args:
        catalog: What the data knows; linked from the datamodule.
        baseline: The baseline.
        metrics: Ranking metrics of validation and test; the usual ones when not given.
        top_k: Items a row of ``predict`` returns.
    """

    def __init__(
        self,
        catalog: Catalog,
        baseline: BaselineConfig,
        metrics: Sequence[RankMetric] | None = None,
        top_k: int = 10,
    ) -> None:
        super().__init__(catalog, metrics, top_k)
        self.baseline = baseline.build(catalog)
        self.automatic_optimization = False

    @override
    def on_fit_start(self) -> None:
        if self.trainer.world_size > 1:
            raise ValueError(
                f"a baseline counts in one process, not {self.trainer.world_size}: "
                "set trainer.devices and trainer.num_nodes to 1"
            )

    @override
    def configure_optimizers(self) -> list[Optimizer]:
        return []

    @override
    def training_step(self, batch: SequenceBatch, batch_idx: int) -> None:
        self.baseline.observe(batch)

    @override
    def on_train_batch_end(self, outputs: Any, batch: SequenceBatch, batch_idx: int) -> None:
        if self.trainer.is_last_batch:  # before the validation that ends the epoch
            self.baseline.finish()

    @override
    @torch.no_grad()
    def scores(self, batch: SequenceBatch) -> Tensor:
        return self.baseline.scores(batch)
