"""Writing the trained language model into the run folder."""

import logging
from pathlib import Path
from typing import Protocol, runtime_checkable

from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

logger = logging.getLogger(__name__)


@runtime_checkable
class Exportable(Protocol):
    """A module that can write what it learned as model folders."""

    def export(self, folder: Path) -> None:
        """Write model folders into ``folder``."""


class ModelFolderWriter(Callback):
    """At the end of `fit`, let the module write its model folders into the run folder.

    A language model becomes ``model``; a fine-tuned one ``adapter`` (where it has one) and
    ``merged``. A sanity run (``fast_dev_run``) writes nothing.
    """

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not isinstance(pl_module, Exportable):
            raise TypeError(
                f"{type(pl_module).__name__} has no `export`: remove ModelFolderWriter from "
                "trainer.callbacks"
            )

    @override
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        is_sanity_run = trainer.fast_dev_run  # type: ignore[attr-defined]  # Lightning sets it late
        if trainer.is_global_zero and not is_sanity_run and isinstance(pl_module, Exportable):
            pl_module.export(Path(trainer.default_root_dir))
            logger.info("model folders written to %s", trainer.default_root_dir)
