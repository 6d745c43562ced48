"""Fine-tuning of a language model on one task, or on several at once."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import LightningModule
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.models.balance import BalanceConfig, FixedBalance
from xrec_lightning.models.language.folder import save_model, write_folder
from xrec_lightning.models.language.tower import TowerConfig, weights_fingerprint
from xrec_lightning.models.language.tuning.adapters import (
    can_merge,
    has_adapter,
    merge_adapter,
    save_adapter,
)
from xrec_lightning.models.language.tuning.base import TuningConfig
from xrec_lightning.modules.optim import RatesConfig, build_optimizer, with_warmup_decay
from xrec_lightning.modules.tasks.base import Task, TaskConfig

BASE = "base_fingerprint"


class LanguageFineTuner(LightningModule):
    """Tune a language model on tasks that share it.

    With one task a batch is that of the task; with several a training batch has one of each, by
    name, and evaluation has a dataloader for each, in the order of the tasks. Figures of several
    tasks are named ``val/TASK.METRIC``. Checkpoints hold the trained weights only and refuse
    another base model.

    Args:
        catalog: What the data knows; linked from the datamodule.
        tower: The language model.
        tuning: Which of its weights are trained.
        tasks: What it is trained for, by a name of your choice.
        balance: How the losses of several tasks become one.
        rates: Learning rates of language model, adapter and heads, as factors of the optimizer's.
        optimizer: Optimizer of the trained weights.
        warmup_share: Share of the steps in which the learning rate rises; then it falls to 0.
    """

    def __init__(
        self,
        catalog: Catalog,
        tower: TowerConfig,
        tuning: TuningConfig,
        tasks: dict[str, TaskConfig],
        balance: BalanceConfig | None = None,
        rates: RatesConfig | None = None,
        optimizer: OptimizerCallable = AdamW,
        warmup_share: float = 0.1,
    ) -> None:
        super().__init__()
        if not tasks:
            raise ValueError("model.init_args.tasks: {}: name at least one task")
        self.save_hyperparameters(ignore=["catalog", "optimizer"])
        self.catalog = catalog
        self.model_name = tower.model
        self.tuning = tuning
        model = tower.load()
        self.base_fingerprint = weights_fingerprint(model)
        self.tower = tower.build(tuning.apply(model))
        self.tasks = nn.ModuleDict(
            {name: config.build(self.tower, catalog.of(name)) for name, config in tasks.items()}
        )
        balance = balance or FixedBalance()
        self.balance = balance.build({name: config.weight for name, config in tasks.items()})
        self.rates = rates or RatesConfig()
        self.optimizer = optimizer
        self.warmup_share = warmup_share
        # Buffers, such as the ranks of AdaLoRA, are trained; so is what is unfrozen later.
        self.frozen = {n for n, weight in self.named_parameters() if not weight.requires_grad}

    def export(self, folder: Path) -> None:
        """Write ``adapter``, where there is one, and ``merged``, the whole model.

        An adapter that cannot be merged, such as a prefix, is all there is to write.
        """
        if has_adapter(self.tower.model):
            write_folder(folder / "adapter", lambda path: save_adapter(self.tower.model, path))
        if not can_merge(self.tower.model):
            shutil.rmtree(folder / "merged", ignore_errors=True)
            return
        merged = merge_adapter(self.tower.model)
        save_model(folder / "merged", merged, self.model_name, pooling=self.tower.pooling)

    @override
    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = build_optimizer(self, self.optimizer, self.rates)
        return with_warmup_decay(optimizer, self.trainer, self.warmup_share)

    @override
    def on_fit_start(self) -> None:
        self.tuning.start(self.tower.model, float(self.trainer.estimated_stepping_batches))

    @override
    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        # Lightning counts the step later, and zeroes its gradients only in the next one.
        self.tuning.after_step(self.tower.model, self.global_step + 1)

    @override
    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        total = self.trainer.estimated_stepping_batches
        for name in self._task_names:
            self.task(name).follow(1.0 if total == float("inf") else self.global_step / total)

    @override
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        batches = batch if len(self.tasks) > 1 else dict.fromkeys(self.tasks, batch)
        losses = {name: self.task(name).loss(self.tower, each) for name, each in batches.items()}
        loss = self.balance(losses)
        penalty = self.tuning.penalty(self.tower.model)
        loss = loss if penalty is None else loss + penalty
        size = _batch_size(next(iter(batches.values())))
        self.log("train/loss", loss, batch_size=size, prog_bar=True)
        if len(losses) > 1:
            self.log_dict({f"train/{k}.loss": v for k, v in losses.items()}, batch_size=size)
        for name in self.tasks:
            watched = self.task(name).watched()
            self.log_dict({self._key("train", name, k): v for k, v in watched.items()})
        return loss

    @override
    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.task(self._task_names[dataloader_idx]).evaluate(self.tower, batch)

    @override
    def on_validation_epoch_end(self) -> None:
        self._log_reports("val", detailed=False)

    @override
    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.task(self._task_names[dataloader_idx]).evaluate(self.tower, batch)

    @override
    def on_test_epoch_end(self) -> None:
        self._log_reports(self.catalog.test_stage, detailed=True)

    @override
    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Any:
        return self.task(self._task_names[dataloader_idx]).predict(self.tower, batch)

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        weights: Mapping[str, Tensor] = checkpoint["state_dict"]
        kept = {name: value for name, value in weights.items() if name not in self.frozen}
        checkpoint["state_dict"] = kept
        checkpoint[BASE] = self.base_fingerprint

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if checkpoint[BASE] != self.base_fingerprint:
            raise ValueError(
                f"the checkpoint was trained on a base model with hash {checkpoint[BASE]}, but "
                f"{self.model_name} has {self.base_fingerprint}; name the model it was trained on"
            )
        checkpoint["state_dict"] = {**self.state_dict(), **checkpoint["state_dict"]}

    def task(self, name: str) -> Task:
        """Return a task by its name."""
        return cast("Task", self.tasks[name])

    @property
    def _task_names(self) -> list[str]:
        return list(self.tasks)

    def _key(self, stage: str, task: str, name: str) -> str:
        return f"{stage}/{name}" if len(self.tasks) == 1 else f"{stage}/{task}.{name}"

    def _log_reports(self, stage: str, *, detailed: bool) -> None:
        for task in self._task_names:
            report = self.task(task).report(detailed=detailed)
            figures = {self._key(stage, task, name): v for name, v in report.items()}
            self.log_dict(figures, sync_dist=True)  # equal anyway; this keeps Lightning quiet


def _batch_size(batch: Any) -> int:
    """Return the length of the first tensor of a batch of nested tuples."""
    while not isinstance(batch, Tensor):
        batch = batch[0]
    return len(batch)
