from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from xrec_lightning.data.datamodules.instruction import InstructionDataModule
from xrec_lightning.data.datamodules.labeled_texts import LabeledTextDataModule
from xrec_lightning.models.heads.multiclass import MulticlassConfig
from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.full import FullTuning
from xrec_lightning.modules.finetune import LanguageFineTuner
from xrec_lightning.modules.tasks.multiclass import MulticlassTask, MulticlassTaskConfig

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
pytestmark = pytest.mark.filterwarnings("ignore:.*(num_workers|LeafSpec|batch_idx)")


@pytest.fixture
def datamodule(tiny_dataset: Path, tiny_language: str) -> LabeledTextDataModule:
    return LabeledTextDataModule(
        tiny_dataset, tiny_language, "domain", min_count=1, batch_size=8, held_out=0.2
    )


def tuner(
    datamodule: LabeledTextDataModule, model: str, config: MulticlassTaskConfig
) -> LanguageFineTuner:
    torch.manual_seed(0)
    return LanguageFineTuner(
        datamodule.catalog,
        TowerConfig(model=model),
        FullTuning(),
        {"domain": config},
        optimizer=partial(torch.optim.AdamW, lr=3e-3),
    )


def test_it_tells_classes_of_unseen_texts_and_reports_them_by_name(
    datamodule: LabeledTextDataModule, tiny_language: str, tmp_path: Path
) -> None:
    module = tuner(datamodule, tiny_language, MulticlassTaskConfig())
    trainer = Trainer(max_epochs=12, default_root_dir=tmp_path, enable_checkpointing=False, **QUIET)
    trainer.fit(module, datamodule)
    assert {"val/loss", "val/accuracy", "val/f1"} <= set(trainer.callback_metrics)
    figures = trainer.test(module, datamodule, verbose=False)[0]
    by_class = {f"{name}/{c}" for name in ("precision", "recall", "f1", "support") for c in CLASSES}
    of_domains = {f"{name}/{c}" for name in ("loss", "accuracy") for c in CLASSES}
    overall = {"loss", "accuracy", "precision", "recall", "f1"}
    assert set(figures) == {f"test/{name}" for name in by_class | of_domains | overall}
    assert figures["test/accuracy"] > 0.8
    predictions = trainer.predict(module, datamodule)
    assert predictions is not None
    found = torch.cat([each.class_ids for each in predictions])
    labels = torch.cat([batch.labels for batch in datamodule.test_dataloader()])
    accuracy = (found == labels).float().mean().item()
    assert accuracy == pytest.approx(figures["test/accuracy"])


CLASSES = ("pots", "tea")


def test_weights_and_smoothing_are_those_of_the_formula(
    datamodule: LabeledTextDataModule, tiny_language: str
) -> None:
    catalog = datamodule.catalog._replace(class_counts=(6, 2))
    tower = TowerConfig(model=tiny_language).build().eval()
    config = MulticlassTaskConfig(
        head=MulticlassConfig(dropout=0.0), class_weights="balanced", label_smoothing=0.2
    )
    task = config.build(tower, catalog)
    assert isinstance(task, MulticlassTask)
    torch.nn.init.normal_(task.head.layers[-1].weight)
    datamodule.setup("fit")
    batch = next(iter(datamodule.train_dataloader()))
    log_probabilities = task(tower, batch).log_softmax(dim=1)
    weights = torch.tensor([8 / (2 * 6), 8 / (2 * 2)])
    targets = 0.8 * torch.eye(2)[batch.labels] + 0.1
    losses = -(targets * weights * log_probabilities).sum(dim=1)
    expected = losses.sum() / weights[batch.labels].sum()
    torch.testing.assert_close(task.loss(tower, batch), expected)
    assert not any("class_weights" in name for name in task.state_dict())


def test_data_without_classes_are_refused(tiny_dataset: Path, tiny_language: str) -> None:
    catalog = InstructionDataModule(tiny_dataset, tiny_language).catalog
    tower = TowerConfig(model=tiny_language).build()
    with pytest.raises(ValueError, match=r"the data have none: take .*LabeledTextDataModule"):
        MulticlassTaskConfig().build(tower, catalog)
