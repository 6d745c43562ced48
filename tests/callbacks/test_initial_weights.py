"""Fits that start from the weights of another run."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn

from xrec_lightning.batches import FINGERPRINT, Catalog
from xrec_lightning.callbacks.initial_weights import InitialWeights
from xrec_lightning.callbacks.run_checkpoint import checkpoint_path

CATALOG = Catalog(
    fingerprint="data",
    domains=("tea",),
    slices=(),
    num_users=1,
    num_items=1,
    train_counts=torch.zeros(2),
    candidates=(torch.ones(1),),
)


class Model(LightningModule):
    """Two layers, of which the second one differs in width."""

    def __init__(self, width: int = 2) -> None:
        super().__init__()
        self.catalog = CATALOG
        self.shared = nn.Linear(2, 2)
        self.head = nn.Linear(2, width)


def save(folder: Path, model: nn.Module, fingerprint: str = "data") -> Path:
    """Write the best checkpoint of a run and return its folder."""
    path = checkpoint_path(folder, "best")
    path.parent.mkdir(parents=True)
    torch.save({"state_dict": model.state_dict(), FINGERPRINT: fingerprint}, path)
    return folder


def start(model: Model, run: Path | None, stage: str = "fit") -> None:
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    InitialWeights(run).setup(trainer, model, stage)


def test_weights_of_equal_name_and_shape_are_taken(tmp_path: Path) -> None:
    trained, model = Model(), Model(width=3)
    before = model.head.weight.clone()
    start(model, save(tmp_path, trained))
    assert torch.equal(model.shared.weight, trained.shared.weight)
    assert torch.equal(model.head.weight, before)


@pytest.mark.parametrize("stage", ["test", "validate", "predict"])
def test_only_a_fit_starts_from_them(tmp_path: Path, stage: str) -> None:
    trained, model = Model(), Model()
    start(model, save(tmp_path, trained), stage)
    assert not torch.equal(model.shared.weight, trained.shared.weight)


def test_without_a_run_the_model_stays(tmp_path: Path) -> None:
    model = Model()
    before = model.shared.weight.clone()
    start(model, None)
    assert torch.equal(model.shared.weight, before)


def test_a_run_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"best.ckpt does not exist: train that run first"):
        start(Model(), tmp_path)
    other = save(tmp_path / "data", Model(), fingerprint="other")
    with pytest.raises(ValueError, match="was trained on data other, but the data given is data"):
        start(Model(), other)
    unlike = save(tmp_path / "model", nn.Linear(7, 7))
    with pytest.raises(ValueError, match=r"no weight of .* has the name and shape of one of this"):
        start(Model(), unlike)
