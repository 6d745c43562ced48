"""Contrastive fine-tuning on pairs of items that were chosen close to each other."""

from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.optim import AdamW
from typing_extensions import override

from xrec_lightning.batches import Catalog, PairBatch
from xrec_lightning.metrics.retrieval import PairRetrieval
from xrec_lightning.models.heads import ContrastiveConfig
from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.base import TuningConfig
from xrec_lightning.modules.finetune import LanguageFineTuner


class ContrastiveFineTuner(LanguageFineTuner):
    """Draw the vectors of co-occurring items together; validated by finding held-out pairs.

    Args:
        catalog: What the data knows; linked from the datamodule.
        tower: The language model.
        tuning: Which of its weights are trained.
        head: The contrastive loss.
        optimizer: Optimizer of the trained weights.
        warmup_share: Share of the steps in which the learning rate rises; then it falls to 0.
    """

    def __init__(
        self,
        catalog: Catalog,
        tower: TowerConfig,
        tuning: TuningConfig,
        head: ContrastiveConfig,
        optimizer: OptimizerCallable = AdamW,
        warmup_share: float = 0.1,
    ) -> None:
        super().__init__(catalog, tower, tuning, optimizer, warmup_share)
        self.head = head.build()
        self.val_retrieval = PairRetrieval()
        self.test_retrieval = PairRetrieval()

    @override
    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        loss, _, _ = self._loss(batch)
        self.log("train/loss", loss, batch_size=len(batch.left_ids), prog_bar=True)
        self.log("train/temperature", self.head.temperature, batch_size=len(batch.left_ids))
        return loss

    @override
    def validation_step(self, batch: PairBatch, batch_idx: int) -> None:
        self._evaluate(batch, "val", self.val_retrieval)

    @override
    def on_validation_epoch_end(self) -> None:
        self._log_retrieval("val", self.val_retrieval)

    @override
    def test_step(self, batch: PairBatch, batch_idx: int) -> None:
        self._evaluate(batch, "test", self.test_retrieval)

    @override
    def on_test_epoch_end(self) -> None:
        self._log_retrieval("test", self.test_retrieval)

    def _loss(self, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
        left, right = self.tower(batch.left), self.tower(batch.right)
        return self.head(left, right, batch.left_ids, batch.right_ids), left, right

    def _evaluate(self, batch: PairBatch, split: str, retrieval: PairRetrieval) -> None:
        loss, left, right = self._loss(batch)
        retrieval.update(left, right, batch.left_ids, batch.right_ids)
        self.log(f"{split}/loss", loss, batch_size=len(batch.left_ids), sync_dist=True)

    def _log_retrieval(self, split: str, retrieval: PairRetrieval) -> None:
        self.log_dict({f"{split}/{name}": value for name, value in retrieval.compute().items()})
        retrieval.reset()
