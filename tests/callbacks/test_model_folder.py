from pathlib import Path

import pytest
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.demos.boring_classes import BoringModel
from typing_extensions import override

from xrec_lightning.callbacks.model_folder import ModelFolderWriter

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
pytestmark = pytest.mark.filterwarnings("ignore:.*(num_workers|LeafSpec|batch_idx)")


class Exporting(BoringModel):
    """Write the number of steps as the model."""

    def export(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "steps").write_text(str(self.global_step))

    @override
    def configure_optimizers(self) -> object:  # type: ignore[override]  # simpler than the demo's
        return super().configure_optimizers()


def fit(module: LightningModule, folder: Path, *, sanity: bool = False) -> None:
    Trainer(
        max_steps=3,
        fast_dev_run=sanity,
        default_root_dir=folder,
        callbacks=[ModelFolderWriter()],
        enable_checkpointing=False,
        **QUIET,
    ).fit(module)


def test_the_module_writes_into_the_run_folder_at_the_end(tmp_path: Path) -> None:
    fit(Exporting(), tmp_path)
    assert (tmp_path / "steps").read_text() == "3"


def test_a_sanity_run_writes_nothing(tmp_path: Path) -> None:
    fit(Exporting(), tmp_path, sanity=True)
    assert not (tmp_path / "steps").exists()


def test_a_module_that_cannot_export_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="BoringModel has no `export`"):
        fit(BoringModel(), tmp_path)
