from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer

from xrec_lightning.data.datamodules.instruction import InstructionDataModule
from xrec_lightning.data.text.labels import LabelConfig
from xrec_lightning.data.text.templates import PromptConfig
from xrec_lightning.models.heads.rating import RatingConfig
from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.full import FullTuning
from xrec_lightning.modules.finetune import LanguageFineTuner
from xrec_lightning.modules.tasks.rating import RatingTaskConfig

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
pytestmark = pytest.mark.filterwarnings("ignore:.*(num_workers|LeafSpec|batch_idx)")


@pytest.fixture(params=[None, "had {history}; wants {candidate}"], ids=["two", "joint"])
def datamodule(
    rated_dataset: Path, tiny_language: str, request: pytest.FixtureRequest
) -> InstructionDataModule:
    return InstructionDataModule(
        rated_dataset,
        tiny_language,
        PromptConfig(template=request.param),
        LabelConfig(answer="rating"),
        batch_size=8,
        train_prompts=32,
        held_out=0.3,
    )


@pytest.fixture
def module(datamodule: InstructionDataModule, tiny_language: str) -> LanguageFineTuner:
    torch.manual_seed(0)
    head = RatingConfig(hidden_dim=16, dropout=0.0)
    return LanguageFineTuner(
        datamodule.catalog,
        TowerConfig(model=tiny_language),
        FullTuning(),
        {"rating": RatingTaskConfig(head=head)},
        optimizer=partial(torch.optim.AdamW, lr=1e-2),
    )


def test_it_learns_one_batch(datamodule: InstructionDataModule, module: LanguageFineTuner) -> None:
    datamodule.setup("fit")
    batch = next(iter(datamodule.train_dataloader()))
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
    task = module.task("rating")
    scale = datamodule.catalog.ratings
    assert scale is not None
    expected = ((batch.labels - scale.mean) / scale.deviation).square().mean()
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = task.loss(module.tower, batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(expected.item(), rel=1e-5)  # an untrained head says the mean
    assert losses[-1] < losses[0] / 3


def test_errors_are_in_units_of_the_data_beside_those_of_mean_and_bias(
    datamodule: InstructionDataModule, module: LanguageFineTuner, tmp_path: Path
) -> None:
    trainer = Trainer(default_root_dir=tmp_path, **QUIET)
    figures = trainer.test(module, datamodule, verbose=False)[0]
    names = ("rmse", "mae", "rmse_mean", "rmse_bias")
    expected = {name + suffix for name in names for suffix in ("", "/tea", "/pots")}
    assert set(figures) == {f"test/{name}" for name in (*expected, "loss")}
    batches = list(datamodule.test_dataloader())
    labels = np.concatenate([batch.labels.numpy() for batch in batches])
    bias = np.concatenate([batch.references[:, 0].numpy() for batch in batches])
    mean = datamodule.catalog.ratings.mean
    assert figures["test/rmse_mean"] == pytest.approx(np.sqrt(np.mean((labels - mean) ** 2)))
    assert figures["test/rmse_bias"] == pytest.approx(np.sqrt(np.mean((labels - bias) ** 2)))
    # An untrained head says the mean.
    assert figures["test/rmse"] == pytest.approx(figures["test/rmse_mean"])
    assert figures["test/mae"] == pytest.approx(np.abs(labels - mean).mean())
    predictions = trainer.predict(module, datamodule)
    assert predictions is not None
    assert torch.cat([each.ratings for each in predictions]).tolist() == pytest.approx(
        [mean] * len(labels)
    )
    validated = trainer.validate(module, datamodule, verbose=False)[0]
    assert set(validated) == {"val/loss", "val/rmse", "val/mae"}


def test_prompts_for_choices_are_refused(tiny_dataset: Path, tiny_language: str) -> None:
    catalog = InstructionDataModule(tiny_dataset, tiny_language).catalog
    with pytest.raises(ValueError, match=r"learns ratings, .*labels\.answer to rating"):
        RatingTaskConfig().build(TowerConfig(model=tiny_language).build(), catalog)
