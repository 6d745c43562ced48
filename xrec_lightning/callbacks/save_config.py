"""The resolved config of a run, in its run folder."""

from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from typing_extensions import override

from xrec_lightning.atomic import write_text

CONFIG_FILE = "config.yaml"


class SaveRunConfig(SaveConfigCallback):
    """Write ``config.yaml`` into the run folder when a fit starts, over that of an earlier one.

    Lightning's own one writes into the logger's folder, where W&B has a file of that name, and
    aborts when the file is there. Commands other than fit write it only where there is none.
    The checkpoint path is left out: it belongs to the command and not to the run.
    """

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        path = Path(trainer.default_root_dir) / CONFIG_FILE
        if self.already_saved or not trainer.is_global_zero:
            return
        self.already_saved = True
        if stage == "fit" or not path.exists():
            config = self.config.clone()
            config.pop("ckpt_path", None)
            write_text(self.parser.dump(config, skip_none=False), path)
