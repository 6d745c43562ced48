"""The choice of a loss of `modules.fusion.FusionRecommender`."""

from pathlib import Path

import pytest
import torch
import yaml

from xrec_lightning.cli import XrecCLI
from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.models.channels.knowledge import KnowledgeChannelConfig
from xrec_lightning.models.channels.sequence import SequenceChannelConfig
from xrec_lightning.models.negatives import PopularityNegativesConfig
from xrec_lightning.models.objectives import (
    BCELossConfig,
    BPRLossConfig,
    ChunkedSoftmaxLossConfig,
    FullSoftmaxLossConfig,
    GBCELossConfig,
    LossConfig,
    SampledSoftmaxLossConfig,
)
from xrec_lightning.models.sequence.sasrec import SASRecConfig
from xrec_lightning.modules.fusion import FusionRecommender

ENCODER = SASRecConfig(embed_dim=8, max_seq_len=12, dropout=0.0)
LOSSES = [
    SampledSoftmaxLossConfig(),
    FullSoftmaxLossConfig(),
    ChunkedSoftmaxLossConfig(block_size=5),
    BCELossConfig(),
    GBCELossConfig(),
    BPRLossConfig(),
]


def fused(
    datamodule: BehaviorDataModule, loss: LossConfig | None, num_negatives: int = 6
) -> FusionRecommender:
    torch.manual_seed(0)
    channels = [
        SequenceChannelConfig(encoder=ENCODER, item_init="knowledge"),
        KnowledgeChannelConfig(dim=8, max_seq_len=12),
    ]
    module = FusionRecommender(datamodule.catalog, channels, num_negatives, loss=loss)
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    return module


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_every_loss_trains_towards_the_full_softmax(
    datamodule: BehaviorDataModule, loss: LossConfig
) -> None:
    module, judge = fused(datamodule, loss), fused(datamodule, FullSoftmaxLossConfig())
    batch = next(iter(datamodule.train_dataloader()))
    disliking = batch._replace(disliked_ids=batch.item_ids[:, :2])
    assert module.losses(disliking).shape == module.losses(batch).shape
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    before = judge.losses(batch).mean().item()
    for _ in range(30):
        optimizer.zero_grad()
        module.training_step(batch, 0).backward()
        optimizer.step()
    judge.load_state_dict(module.state_dict())
    assert judge.losses(batch).mean().item() < 0.9 * before


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_a_batch_without_targets_has_a_finite_loss(
    datamodule: BehaviorDataModule, loss: LossConfig
) -> None:
    module = fused(datamodule, loss)
    batch = next(iter(datamodule.train_dataloader()))
    empty = torch.zeros_like(batch.target_ids)
    value = module.training_step(batch._replace(target_ids=empty, target_domain_ids=empty), 0)
    assert value.item() == 0.0
    value.backward()


def test_none_is_the_sampled_softmax(datamodule: BehaviorDataModule) -> None:
    batch = next(iter(datamodule.train_dataloader()))
    values = []
    for loss in (None, SampledSoftmaxLossConfig()):
        module = fused(datamodule, loss).eval()
        torch.manual_seed(1)
        values.append(module.losses(batch))
    assert torch.equal(*values)


@pytest.mark.parametrize("loss", [FullSoftmaxLossConfig(), ChunkedSoftmaxLossConfig(block_size=5)])
def test_a_full_softmax_takes_all_items_whatever_the_sample(
    datamodule: BehaviorDataModule, loss: LossConfig
) -> None:
    batch = next(iter(datamodule.train_dataloader()))
    batch = batch._replace(disliked_ids=batch.item_ids[:, :2])
    whole = fused(datamodule, None, num_negatives=512).eval()
    module = fused(datamodule, loss, num_negatives=1).eval()
    torch.testing.assert_close(module.losses(batch), whole.losses(batch), atol=1e-5, rtol=1e-5)


def test_negatives_of_a_loss_over_all_items_are_refused(datamodule: BehaviorDataModule) -> None:
    with pytest.raises(ValueError, match="FullSoftmaxLossConfig takes all items of the domain"):
        FusionRecommender(
            datamodule.catalog,
            [KnowledgeChannelConfig(dim=8)],
            negatives=PopularityNegativesConfig(),
            loss=FullSoftmaxLossConfig(),
        )


def test_a_config_chooses_the_loss_by_its_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loss = {
        "class_path": "xrec_lightning.models.objectives.GBCELossConfig",
        "init_args": {"calibration": 0.5},
    }
    path = tmp_path / "loss.yaml"
    path.write_text(yaml.safe_dump({"model": {"init_args": {"loss": loss}}}))
    with pytest.raises(SystemExit) as stop:
        XrecCLI(
            ["fit", "--config=configs/fusion/sequence.yaml", f"--config={path}", "--print_config"]
        )
    assert stop.value.code == 0
    assert yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]["loss"] == loss
