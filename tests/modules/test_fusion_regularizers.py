"""The terms that `modules.fusion.FusionRecommender` adds to its loss."""

from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import Trainer, seed_everything

from xrec_lightning.cli import XrecCLI
from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.models.channels.knowledge import KnowledgeChannelConfig
from xrec_lightning.models.channels.sequence import SequenceChannelConfig
from xrec_lightning.models.regularizers.adversarial import AdversarialConfig
from xrec_lightning.models.regularizers.alignment import AlignmentConfig
from xrec_lightning.models.regularizers.base import RegularizerConfig
from xrec_lightning.models.regularizers.r_drop import RDropConfig
from xrec_lightning.models.sequence.sasrec import SASRecConfig
from xrec_lightning.modules.fusion import FusionRecommender

ALL: list[RegularizerConfig] = [RDropConfig(), AlignmentConfig(), AdversarialConfig()]


def fused(
    datamodule: BehaviorDataModule, regularizers: list[RegularizerConfig] | None, dropout: float
) -> FusionRecommender:
    seed_everything(0, verbose=False)
    encoder = SASRecConfig(embed_dim=8, max_seq_len=12, dropout=dropout)
    channels = [SequenceChannelConfig(encoder=encoder), KnowledgeChannelConfig(dim=8)]
    return FusionRecommender(
        datamodule.catalog,
        channels,
        regularizers=regularizers,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-2),
    )


def test_terms_add_up_and_are_logged(datamodule: BehaviorDataModule) -> None:
    batch = next(iter(datamodule.train_dataloader()))
    plain, module = fused(datamodule, None, 0.0), fused(datamodule, ALL, 0.0)
    logged: dict[str, float] = {}
    for each in (plain, module):
        each.log = lambda name, value, **_: logged.update({name: value.item()})  # type: ignore[method-assign]
    before = plain.training_step(batch, 0).item()
    loss = module.training_step(batch, 0)
    assert logged["train/r_drop"] == 0.0  # no drop-out
    assert logged["train/alignment"] > 0.0
    assert logged["train/adversarial"] > before
    terms = sum(logged[f"train/{each}"] for each in ("r_drop", "alignment", "adversarial"))
    assert loss.item() == pytest.approx(before + terms, rel=1e-5)
    assert logged["train/loss"] == loss.item()


def test_training_with_all_of_them_lowers_the_plain_loss_and_leaves_an_ordinary_checkpoint(
    datamodule: BehaviorDataModule, tmp_path: Path
) -> None:
    module, plain = fused(datamodule, ALL, 0.2), fused(datamodule, None, 0.0)
    batch = next(iter(datamodule.train_dataloader()))
    before = plain.losses(batch).mean().item()
    trainer = Trainer(
        default_root_dir=tmp_path,
        max_epochs=2,
        accelerator="cpu",
        accumulate_grad_batches=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule)
    plain.load_state_dict(module.state_dict())
    assert plain.losses(batch).mean().item() < before


def test_a_config_lists_them_by_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = [
        {
            "class_path": "xrec_lightning.models.regularizers.r_drop.RDropConfig",
            "init_args": {"weight": 0.5},
        }
    ]
    path = tmp_path / "regularizers.yaml"
    path.write_text(yaml.safe_dump({"model": {"init_args": {"regularizers": chosen}}}))
    with pytest.raises(SystemExit) as stop:
        XrecCLI(
            ["fit", "--config=configs/fusion/sequence.yaml", f"--config={path}", "--print_config"]
        )
    assert stop.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]["regularizers"]
    assert printed == chosen
