"""The config of a run folder."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from jsonargparse import Namespace
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LightningArgumentParser

from xrec_lightning.callbacks.save_config import SaveRunConfig


@pytest.fixture
def parser() -> LightningArgumentParser:
    """A parser of a seed and a checkpoint path."""
    parser = LightningArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ckpt_path", type=str | None)
    return parser


def save(parser: LightningArgumentParser, folder: Path, stage: str, seed: int) -> dict[str, Any]:
    """Save in ``stage`` and return what the file holds then."""
    callback = SaveRunConfig(parser, Namespace(seed=seed, ckpt_path="last"))
    trainer: Any = SimpleNamespace(default_root_dir=str(folder), is_global_zero=True)
    callback.setup(trainer, LightningModule(), stage)
    return yaml.safe_load((folder / "config.yaml").read_text())


def test_fit_writes_over_an_earlier_config(parser: LightningArgumentParser, tmp_path: Path) -> None:
    assert save(parser, tmp_path, "fit", 1) == {"seed": 1}
    assert save(parser, tmp_path, "fit", 2) == {"seed": 2}


def test_test_keeps_the_config_of_the_fit(parser: LightningArgumentParser, tmp_path: Path) -> None:
    assert save(parser, tmp_path, "test", 1) == {"seed": 1}
    assert save(parser, tmp_path, "test", 2) == {"seed": 1}


def test_other_processes_write_nothing(parser: LightningArgumentParser, tmp_path: Path) -> None:
    callback = SaveRunConfig(parser, Namespace(seed=0, ckpt_path=None))
    trainer: Any = SimpleNamespace(default_root_dir=str(tmp_path), is_global_zero=False)
    callback.setup(trainer, LightningModule(), "fit")
    assert not list(tmp_path.iterdir())
