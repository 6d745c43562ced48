"""What all fine-tuning tasks of a language model share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.models.language.folder import save_model, write_folder
from xrec_lightning.models.language.tower import TowerConfig, weights_fingerprint
from xrec_lightning.models.language.tuning.adapters import has_adapter, merge_adapter, save_adapter
from xrec_lightning.models.language.tuning.base import TuningConfig
from xrec_lightning.modules.optim import trainable, with_warmup_decay

BASE = "base_fingerprint"


class LanguageFineTuner(LightningModule):
    """A tuned language tower; a subclass adds the head, its loss and its metrics.

    Checkpoints hold the trained weights only and refuse another base model.
    """

    def __init__(
        self,
        catalog: Catalog,
        tower: TowerConfig,
        tuning: TuningConfig,
        optimizer: OptimizerCallable,
        warmup_share: float,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["catalog", "optimizer"])
        self.catalog = catalog
        self.model_name = tower.model
        model = tower.load()
        self.base_fingerprint = weights_fingerprint(model)
        self.tower = tower.build(tuning.apply(model))
        self.optimizer = optimizer
        self.warmup_share = warmup_share

    def export(self, folder: Path) -> None:
        """Write ``adapter``, where there is one, and ``merged``, the whole model."""
        if has_adapter(self.tower.model):
            write_folder(folder / "adapter", lambda path: save_adapter(self.tower.model, path))
        save_model(folder / "merged", merge_adapter(self.tower.model), self.model_name)

    @override
    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = self.optimizer(trainable(self))
        return with_warmup_decay(optimizer, self.trainer, self.warmup_share)

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        trained = {name for name, weight in self.named_parameters() if weight.requires_grad}
        weights: Mapping[str, Tensor] = checkpoint["state_dict"]
        checkpoint["state_dict"] = {k: v for k, v in weights.items() if k in trained}
        checkpoint[BASE] = self.base_fingerprint

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if checkpoint[BASE] != self.base_fingerprint:
            raise ValueError(
                f"the checkpoint was trained on a base model with hash {checkpoint[BASE]}, but "
                f"{self.model_name} has {self.base_fingerprint}; name the model it was trained on"
            )
        checkpoint["state_dict"] = {**self.state_dict(), **checkpoint["state_dict"]}
