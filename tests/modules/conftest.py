"""What the tests of recommender modules share."""

from pathlib import Path

import pytest

from xrec_lightning.data.datamodules.behavior import BehaviorDataModule


@pytest.fixture
def datamodule(tiny_dataset: Path, tiny_store: Path) -> BehaviorDataModule:
    return BehaviorDataModule(tiny_dataset, tiny_store, batch_size=8, eval_batch_size=7)
