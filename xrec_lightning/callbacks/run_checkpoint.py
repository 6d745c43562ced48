"""The checkpoints of a run folder: the best one and the last one."""

from pathlib import Path
from typing import Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from typing_extensions import override

CHECKPOINT_FOLDER = "checkpoints"
BEST = "best"
LAST = "last"


class RunCheckpoint(ModelCheckpoint):
    """Keep ``checkpoints/best.ckpt`` and ``checkpoints/last.ckpt`` in the run folder."""

    def __init__(
        self,
        monitor: str | None = "val/ndcg@10",
        mode: Literal["min", "max"] = "max",
        keep_last: bool = True,
        save_weights_only: bool = False,
    ) -> None:
        """Set what is kept.

        Args:
            monitor: Logged value that tells the best; `null` takes the newest as the best.
            mode: Whether more or less of it is better.
            keep_last: Whether the one of the last epoch is kept too, to resume from.
            save_weights_only: Whether the state of the optimizer is left out.
        """
        super().__init__(
            monitor=monitor,
            mode=mode,
            filename=BEST,
            save_weights_only=save_weights_only,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )
        # Lightning's own `save_last` keeps no epoch that is not among the best.
        self.keep_last = keep_last

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.dirpath = str(Path(trainer.default_root_dir) / CHECKPOINT_FOLDER)
        super().setup(trainer, pl_module, stage)

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        if self.keep_last:
            self._save(trainer, LAST)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_end(trainer, pl_module)
        # A model that counts takes no optimizer step, and without one nothing was saved.
        if trainer.global_step == 0:
            self._save(trainer, BEST)

    def _save(self, trainer: Trainer, name: str) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]  # Lightning sets it late
            path = checkpoint_path(Path(trainer.default_root_dir), name)
            trainer.save_checkpoint(path, self.save_weights_only)


def checkpoint_path(run_folder: Path, name: str) -> Path:
    """Return where the checkpoint ``best`` or ``last`` of a run lies."""
    return run_folder / CHECKPOINT_FOLDER / f"{name}.ckpt"
