from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader
from transformers import BertConfig, BertModel

from xrec_lightning.data.datamodules.pairs import PairDataModule
from xrec_lightning.models.heads import ContrastiveConfig
from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.lora import LoraTuning
from xrec_lightning.modules.contrastive import ContrastiveFineTuner

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
pytestmark = pytest.mark.filterwarnings("ignore:.*(num_workers|LeafSpec|batch_idx)")


@pytest.fixture
def datamodule(tiny_dataset: Path, tiny_language: str) -> PairDataModule:
    return PairDataModule(
        tiny_dataset, tiny_language, batch_size=8, pairs_per_epoch=16, min_count=1, min_lift=0.0
    )


def tuner(datamodule: PairDataModule, model: str) -> ContrastiveFineTuner:
    return ContrastiveFineTuner(
        datamodule.catalog,
        TowerConfig(model=model),
        LoraTuning(rank=2),
        ContrastiveConfig(),
        partial(torch.optim.AdamW, lr=1e-2),
    )


@pytest.fixture
def checkpoint(datamodule: PairDataModule, tiny_language: str, tmp_path: Path) -> Path:
    """The checkpoint of a run of two steps, and beside it all weights of its module."""
    module = tuner(datamodule, tiny_language)
    trainer = Trainer(max_epochs=1, default_root_dir=tmp_path, **QUIET)
    trainer.fit(module, datamodule)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    torch.save(module.state_dict(), tmp_path / "all.pt")
    return tmp_path / "last.ckpt"


def test_a_checkpoint_holds_trained_weights_only_and_loads_with_weights_only(
    checkpoint: Path,
) -> None:
    weights = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert weights
    assert all("lora_" in name or name.startswith("head.") for name in weights)


def test_a_checkpoint_restores_the_whole_module(
    checkpoint: Path, datamodule: PairDataModule
) -> None:
    again = ContrastiveFineTuner.load_from_checkpoint(
        checkpoint, catalog=datamodule.catalog, weights_only=True
    )
    expected = torch.load(checkpoint.with_name("all.pt"), weights_only=True)
    for name, weight in again.state_dict().items():
        assert torch.equal(weight, expected[name]), name


def test_a_checkpoint_of_another_base_model_is_refused(
    checkpoint: Path, datamodule: PairDataModule, tiny_language: str, tmp_path: Path
) -> None:
    other = BertModel(BertConfig.from_pretrained(tiny_language))
    other.save_pretrained(str(tmp_path / "other"))
    module = tuner(datamodule, str(tmp_path / "other"))
    datamodule.setup("test")
    loader: DataLoader[object] = datamodule.test_dataloader()
    with pytest.raises(ValueError, match="name the model it was trained on"):
        Trainer(default_root_dir=tmp_path, **QUIET).test(module, loader, ckpt_path=str(checkpoint))
