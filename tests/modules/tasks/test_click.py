from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from xrec_lightning.data.datamodules.instruction import InstructionDataModule
from xrec_lightning.data.text.templates import PromptConfig
from xrec_lightning.models.heads.click import ClickConfig, JointClickConfig
from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.lora import LoraTuning
from xrec_lightning.modules.finetune import LanguageFineTuner
from xrec_lightning.modules.tasks.click import ClickTaskConfig

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
pytestmark = pytest.mark.filterwarnings("ignore:.*(num_workers|LeafSpec|batch_idx)")


@pytest.fixture(params=[None, "had {history}; wants {candidate}"], ids=["two", "joint"])
def datamodule(
    tiny_dataset: Path, tiny_language: str, request: pytest.FixtureRequest
) -> InstructionDataModule:
    return InstructionDataModule(
        tiny_dataset,
        tiny_language,
        PromptConfig(template=request.param),
        batch_size=8,
        train_prompts=32,
        held_out=0.3,
    )


@pytest.fixture
def module(datamodule: InstructionDataModule, tiny_language: str) -> LanguageFineTuner:
    torch.manual_seed(0)
    kind = ClickConfig if datamodule.catalog.prompt_texts == 2 else JointClickConfig
    head = kind(hidden_dim=16, dropout=0.0)
    return LanguageFineTuner(
        datamodule.catalog,
        TowerConfig(model=tiny_language),
        LoraTuning(rank=4),
        {"click": ClickTaskConfig(head=head)},
        optimizer=partial(torch.optim.AdamW, lr=1e-2),
    )


def test_it_learns_one_batch(datamodule: InstructionDataModule, module: LanguageFineTuner) -> None:
    datamodule.setup("fit")
    batch = next(iter(datamodule.train_dataloader()))
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(80):
        optimizer.zero_grad()
        loss = module.task("click").loss(module.tower, batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_test_reports_each_class_and_predict_gives_probabilities(
    datamodule: InstructionDataModule, module: LanguageFineTuner, tmp_path: Path
) -> None:
    trainer = Trainer(
        max_epochs=1,
        default_root_dir=tmp_path,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        **QUIET,
    )
    trainer.validate(module, datamodule, verbose=False)
    trainer.fit(module, datamodule)
    assert {"val/loss", "val/auc", "val/accuracy"} <= set(trainer.callback_metrics)
    figures = trainer.test(module, datamodule, verbose=False)[0]
    names = {"precision", "recall", "f1"}
    names |= {f"{name}/{c}" for name in ("precision", "recall", "f1", "support") for c in (0, 1)}
    of_domains = ("loss", "accuracy", "auc", "ece", "brier", "auc_popularity")
    names |= {name + suffix for name in of_domains for suffix in ("", "/tea", "/pots")}
    assert set(figures) == {f"test/{name}" for name in names}
    module.catalog = module.catalog._replace(ties="file")
    marked = trainer.test(module, datamodule, verbose=False)[0]
    assert set(marked) == {f"test[ties=file]/{name}" for name in names}
    predictions = trainer.predict(module, datamodule)
    assert predictions is not None
    probabilities = torch.cat([batch.probabilities for batch in predictions])
    labels = torch.cat([batch.labels for batch in datamodule.test_dataloader()])
    assert ((probabilities > 0) & (probabilities < 1)).all()
    accuracy = ((probabilities > 0.5) == labels.bool()).float().mean()
    assert accuracy.item() == pytest.approx(figures["test/accuracy"])
