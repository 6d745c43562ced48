"""The checkpoints of a run folder."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from xrec_lightning.callbacks.run_checkpoint import RunCheckpoint, checkpoint_path


class Line(LightningModule):
    """Validates with the values it is given, one an epoch."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.values = values

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return (self.weight - batch).sum()  # each step lowers the weight by one

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val/ndcg@10", self.values[self.current_epoch])


class Counter(Line):
    """Takes no optimizer step."""

    def __init__(self) -> None:
        super().__init__([0.5])
        self.automatic_optimization = False

    def configure_optimizers(self) -> None:  # type: ignore[override]
        return None

    def training_step(self, batch: Tensor, batch_idx: int) -> None:  # type: ignore[override]
        self.weight.data += 1.0


def fit(model: Line, folder: Path, checkpoint: RunCheckpoint, epochs: int) -> None:
    data = DataLoader(torch.zeros(1, 1), 1)
    trainer = Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        max_epochs=epochs,
        callbacks=[checkpoint],
        logger=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, data, data)


def weight(folder: Path, name: str) -> float:
    checkpoint = torch.load(checkpoint_path(folder, name), weights_only=True)
    return float(checkpoint["state_dict"]["weight"])


def test_best_and_last_are_kept(tmp_path: Path) -> None:
    fit(Line([0.1, 0.3, 0.2]), tmp_path, RunCheckpoint(), 3)
    assert (weight(tmp_path, "best"), weight(tmp_path, "last")) == (-2.0, -3.0)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


def test_lower_is_better_where_the_config_says_so(tmp_path: Path) -> None:
    fit(Line([0.1, 0.3, 0.2]), tmp_path, RunCheckpoint(mode="min"), 3)
    assert weight(tmp_path, "best") == -1.0


def test_without_monitor_the_newest_is_the_best(tmp_path: Path) -> None:
    fit(Line([0.3, 0.2, 0.1]), tmp_path, RunCheckpoint(monitor=None), 3)
    assert weight(tmp_path, "best") == -3.0


@pytest.mark.parametrize("name", ["best", "last"])
def test_model_that_only_counts_is_saved_after_its_epoch(tmp_path: Path, name: str) -> None:
    fit(Counter(), tmp_path, RunCheckpoint(), 1)
    assert weight(tmp_path, name) == 1.0
