"""Fine-tuning on "history and candidate as texts, to the probability of a choice"."""

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW
from typing_extensions import override

from xrec_lightning.batches import Catalog, ClickPredictions, PromptBatch
from xrec_lightning.metrics.binary import BinaryReport
from xrec_lightning.models.heads import ClickConfig
from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.base import TuningConfig
from xrec_lightning.modules.finetune import LanguageFineTuner


class ClickFineTuner(LanguageFineTuner):
    """Predict whether a user chooses a candidate, by binary cross-entropy.

    Args:
        catalog: What the data knows; linked from the datamodule.
        tower: The language model.
        tuning: Which of its weights are trained.
        head: The classifier on the vectors of history and candidate.
        optimizer: Optimizer of the trained weights.
        warmup_share: Share of the steps in which the learning rate rises; then it falls to 0.
    """

    def __init__(
        self,
        catalog: Catalog,
        tower: TowerConfig,
        tuning: TuningConfig,
        head: ClickConfig,
        optimizer: OptimizerCallable = AdamW,
        warmup_share: float = 0.1,
    ) -> None:
        super().__init__(catalog, tower, tuning, optimizer, warmup_share)
        self.head = head.build(self.tower.dim)
        self.val_report = BinaryReport(per_class=False)
        self.test_report = BinaryReport(per_class=True)

    @override
    def forward(self, batch: PromptBatch) -> Tensor:
        """Return the logits of a choice, shape ``(B,)``."""
        return self.head(self.tower(batch.history), self.tower(batch.candidate))

    @override
    def training_step(self, batch: PromptBatch, batch_idx: int) -> Tensor:
        loss = functional.binary_cross_entropy_with_logits(self(batch), batch.labels)
        self.log("train/loss", loss, batch_size=len(batch.labels), prog_bar=True)
        return loss

    @override
    def validation_step(self, batch: PromptBatch, batch_idx: int) -> None:
        self.val_report.update(self(batch), batch.labels)

    @override
    def on_validation_epoch_end(self) -> None:
        self._log_report("val", self.val_report)

    @override
    def test_step(self, batch: PromptBatch, batch_idx: int) -> None:
        self.test_report.update(self(batch), batch.labels)

    @override
    def on_test_epoch_end(self) -> None:
        self._log_report(self.catalog.test_stage, self.test_report)

    @override
    def predict_step(self, batch: PromptBatch, batch_idx: int) -> ClickPredictions:
        probabilities = torch.sigmoid(self(batch))
        return ClickPredictions(batch.user_ids, batch.item_ids, batch.domain_ids, probabilities)

    def _log_report(self, stage: str, report: BinaryReport) -> None:
        self.log_dict({f"{stage}/{name}": value for name, value in report.compute().items()})
        report.reset()
