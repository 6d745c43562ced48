"""Start a fit from the weights of another run: pre-train on one domain, fine-tune on another."""

import logging
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import FINGERPRINT
from xrec_lightning.callbacks.run_checkpoint import BEST, checkpoint_path

logger = logging.getLogger(__name__)


class InitialWeights(Callback):
    """Copy what another run learned into the model before its fit.

    The weights of equal name and shape are taken, the others stay as they were built; the
    optimizer starts anew. Both runs must be on one prepared data set and knowledge store, where
    an item has the same row. Whitened knowledge is fitted on the items of the training: give the
    runs the same ``history_domains`` and unlike ``train_domains``, so that it is the same in both.
    """

    def __init__(self, run: Path | None = None) -> None:
        """Set where the weights are.

        Args:
            run: Run folder, whose best checkpoint is taken; `null` starts from the model as it is
                built.
        """
        self.run = run

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        # A fit that goes on from a checkpoint of its own has more than these.
        if stage != "fit" or self.run is None or trainer.ckpt_path is not None:
            return
        path = checkpoint_path(self.run, BEST)
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist: train that run first (`xrec fit`)")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        _refuse_other_data(checkpoint, pl_module, self.run)
        state = pl_module.state_dict()
        taken = {
            name: values
            for name, values in checkpoint["state_dict"].items()
            if isinstance(values, Tensor) and name in state and state[name].shape == values.shape
        }
        if not taken:
            raise ValueError(
                f"initial_weights.run: no weight of {self.run} has the name and shape of one of "
                "this model; name a run of the same kind of model"
            )
        pl_module.load_state_dict(taken, strict=False)
        left = len(state) - len(taken)
        logger.info("%d weights are those of %s, %d are new", len(taken), self.run, left)


def _refuse_other_data(checkpoint: dict[str, Any], module: LightningModule, run: Path) -> None:
    own = getattr(getattr(module, "catalog", None), "fingerprint", None)
    found = checkpoint.get(FINGERPRINT)
    if found != own:
        raise ValueError(
            f"initial_weights.run: {run} was trained on data {found}, but the data given is {own}: "
            "weights of items fit one data set and knowledge store only"
        )
