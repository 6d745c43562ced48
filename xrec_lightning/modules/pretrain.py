"""Self-supervised training of a language model on the knowledge text."""

from pathlib import Path

from lightning.pytorch import LightningModule
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW
from typing_extensions import override

from xrec_lightning.batches import Catalog, MaskedTextBatch
from xrec_lightning.metrics.language import MaskedTokenMetrics
from xrec_lightning.models.language.folder import save_model
from xrec_lightning.models.language.mlm import MaskedLanguageModel
from xrec_lightning.modules.optim import trainable, with_warmup_decay


class KnowledgePretrainer(LightningModule):
    """Continue the masked language modeling of a pre-trained model.

    Args:
        catalog: What the data knows; linked from the datamodule.
        model: Folder, Hugging Face name, or ``package:NAME/FOLDER``.
        freeze_embeddings: Keep the token embeddings, and with them the tied decoder, as they are.
        optimizer: Optimizer of the trained weights.
        warmup_share: Share of the steps in which the learning rate rises; then it falls to 0.
    """

    def __init__(
        self,
        catalog: Catalog,
        model: str,
        freeze_embeddings: bool = False,
        optimizer: OptimizerCallable = AdamW,
        warmup_share: float = 0.1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["catalog", "optimizer"])
        self.catalog = catalog
        self.model_name = model
        self.language_model = MaskedLanguageModel(model)
        if freeze_embeddings:
            embeddings = self.language_model.model.get_input_embeddings()
            embeddings.requires_grad_(requires_grad=False)
        self.optimizer = optimizer
        self.warmup_share = warmup_share
        self.val_metrics = MaskedTokenMetrics(catalog.domains)
        self.test_metrics = MaskedTokenMetrics(catalog.domains)

    def export(self, folder: Path) -> None:
        """Write ``model``: encoder, head and tokenizer, into ``folder``."""
        save_model(folder / "model", self.language_model.model, self.model_name)

    @override
    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = self.optimizer(trainable(self))
        return with_warmup_decay(optimizer, self.trainer, self.warmup_share)

    @override
    def training_step(self, batch: MaskedTextBatch, batch_idx: int) -> Tensor:
        predictions = self.language_model(batch)
        losses = functional.cross_entropy(predictions.logits, predictions.labels, reduction="sum")
        loss = losses / max(1, len(predictions.labels))  # a short batch may hide no token
        self.log("train/loss", loss, batch_size=len(predictions.labels), prog_bar=True)
        return loss

    @override
    def validation_step(self, batch: MaskedTextBatch, batch_idx: int) -> None:
        self.val_metrics.update(*self.language_model(batch))

    @override
    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val", self.val_metrics)

    @override
    def test_step(self, batch: MaskedTextBatch, batch_idx: int) -> None:
        self.test_metrics.update(*self.language_model(batch))

    @override
    def on_test_epoch_end(self) -> None:
        self._log_metrics("test", self.test_metrics)

    def _log_metrics(self, split: str, metrics: MaskedTokenMetrics) -> None:
        self.log_dict({f"{split}/{name}": value for name, value in metrics.compute().items()})
        metrics.reset()
