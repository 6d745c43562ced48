"""Averages of the weights in validation, in checkpoints and after the fit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from torch import Tensor, nn
from torch.utils.data import DataLoader

from xrec_lightning.callbacks.average_weights import AverageWeights
from xrec_lightning.callbacks.run_checkpoint import RunCheckpoint, checkpoint_path
from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.models.channels.knowledge import KnowledgeChannelConfig
from xrec_lightning.models.channels.sequence import SequenceChannelConfig
from xrec_lightning.models.sequence.sasrec import SASRecConfig
from xrec_lightning.modules.fusion import FusionRecommender


class Line(LightningModule):
    """A weight that every step lowers by one, and a count of items that nothing may average."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.register_buffer("counts", torch.tensor([3, 5]))
        self.trained: list[float] = []
        self.validated: list[float] = []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.trained.append(self.weight.item())
        return (self.weight - batch).mean()

    def on_validation_epoch_start(self) -> None:
        self.validated.append(self.weight.item())

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val/ndcg@10", -self.weight.sum())

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        pass


def trainer(folder: Path, epochs: int, averages: AverageWeights, **more: Any) -> Trainer:
    return Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        max_epochs=epochs,
        callbacks=[RunCheckpoint(), averages],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **more,
    )


def averages(decay: float, steps: int, warmup: bool) -> list[float]:
    """Return the average of the weights ``-1, -2, ...`` after each step, started at 0."""
    values = [0.0]
    for step in range(1, steps + 1):
        kept = min(decay, (1 + step) / (10 + step)) if warmup else decay
        values.append(kept * values[-1] + (1 - kept) * -step)
    return values


@pytest.mark.parametrize("warmup", [False, True])
def test_what_is_validated_saved_and_kept_is_the_average(tmp_path: Path, warmup: bool) -> None:
    model, data = Line(), DataLoader(torch.zeros(4, 1), 1)
    run = trainer(tmp_path, 2, AverageWeights(0.9, warmup))
    run.fit(model, data, data)
    expected = averages(0.9, 8, warmup)
    assert model.trained == [-float(step) for step in range(8)]
    # The sanity check, then the end of each epoch.
    assert model.validated == pytest.approx([0.0, expected[4], expected[8]])
    assert model.weight.item() == pytest.approx(expected[8])
    for name in ("best", "last"):
        state = torch.load(checkpoint_path(tmp_path, name), weights_only=True)["state_dict"]
        assert state["weight"].item() == pytest.approx(expected[8])
        assert state["counts"].tolist() == [3, 5]
    tested = Line()
    best = checkpoint_path(tmp_path, "best")
    run.test(tested, data, ckpt_path=best, weights_only=True, verbose=False)
    assert tested.weight.item() == pytest.approx(expected[8])


def test_only_steps_of_the_optimizer_count(tmp_path: Path) -> None:
    model, data = Line(), DataLoader(torch.zeros(6, 1), 1)
    more = {"accumulate_grad_batches": 2, "val_check_interval": 3}
    trainer(tmp_path, 1, AverageWeights(0.5, warmup=False), **more).fit(model, data, data)
    expected = averages(0.5, 3, warmup=False)
    assert model.trained == [0.0, 0.0, -1.0, -1.0, -2.0, -2.0]
    assert model.validated == pytest.approx([0.0, expected[1], expected[3]])


def test_a_second_fit_starts_anew(tmp_path: Path) -> None:
    callback, data = AverageWeights(0.5, warmup=False), DataLoader(torch.zeros(2, 1), 1)
    ends = []
    for number in range(2):
        model = Line()
        trainer(tmp_path / str(number), 1, callback).fit(model, data, data)
        ends.append(model.weight.item())
    assert ends == [pytest.approx(averages(0.5, 2, warmup=False)[2])] * 2


def fused(datamodule: BehaviorDataModule) -> FusionRecommender:
    seed_everything(0, verbose=False)
    encoder = SASRecConfig(embed_dim=4, max_seq_len=12, dropout=0.0)
    return FusionRecommender(
        datamodule.catalog,
        [SequenceChannelConfig(encoder=encoder), KnowledgeChannelConfig(dim=4)],
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-2),
    )


@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # so that both runs can be compared
def test_a_resumed_run_ends_where_the_whole_one_does(
    tiny_dataset: Path, tiny_store: Path, tmp_path: Path
) -> None:
    datamodule = BehaviorDataModule(tiny_dataset, tiny_store, batch_size=8)
    whole = fused(datamodule)
    trainer(tmp_path / "whole", 3, AverageWeights(0.9)).fit(whole, datamodule)
    trainer(tmp_path / "half", 2, AverageWeights(0.9)).fit(fused(datamodule), datamodule)
    resumed = fused(datamodule)
    last = checkpoint_path(tmp_path / "half", "last")
    run = trainer(tmp_path / "rest", 3, AverageWeights(0.9))
    run.fit(resumed, datamodule, ckpt_path=last, weights_only=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    # What is saved stands for itself: nothing of the callback is needed to test it.
    plain = fused(datamodule)
    last = checkpoint_path(tmp_path / "rest", "last")
    plain.load_state_dict(torch.load(last, weights_only=True)["state_dict"])
    for name, value in whole.state_dict().items():
        assert torch.equal(value, plain.state_dict()[name]), name


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_that_is_no_share_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match=f"AverageWeights.decay is {decay}: set it from 0"):
        AverageWeights(decay)
