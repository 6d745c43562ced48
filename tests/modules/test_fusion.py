import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import Trainer, seed_everything

from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.models.channels.knowledge import KnowledgeChannelConfig
from xrec_lightning.models.channels.sequence import SequenceChannelConfig
from xrec_lightning.models.negatives import (
    HardNegativesConfig,
    InBatchNegativesConfig,
    NegativesConfig,
    PopularityNegativesConfig,
)
from xrec_lightning.models.sequence.sasrec import SASRecConfig
from xrec_lightning.modules.fusion import FusionRecommender

CHANNELS = "xrec_lightning.models.channels"
ENCODER = SASRecConfig(embed_dim=8, max_seq_len=12, dropout=0.0)


def fused(
    datamodule: BehaviorDataModule,
    negatives: NegativesConfig | None = None,
    num_negatives: int = 512,
) -> FusionRecommender:
    channels = [
        SequenceChannelConfig(encoder=ENCODER, item_init="knowledge"),
        KnowledgeChannelConfig(dim=8, max_seq_len=12),
    ]
    return FusionRecommender(
        datamodule.catalog,
        channels,
        num_negatives,
        negatives,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-2),
    )


def fit(module: FusionRecommender, datamodule: BehaviorDataModule, folder: Path) -> Trainer:
    trainer = Trainer(
        default_root_dir=folder,
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(module, datamodule)
    return trainer


def test_the_loss_is_the_softmax_over_the_trained_items_of_the_targets_domain(
    datamodule: BehaviorDataModule,
) -> None:
    module = fused(datamodule).eval()
    batch = next(iter(datamodule.train_dataloader()))
    scales, bias = module.scorer.log_scales.exp(), module.scorer.bias
    for index, channel in enumerate(module.scorer.channel_list()):
        queries, keys = channel.queries(batch) * scales[index], channel.keys()
        expected = []
        for row, column in (batch.target_ids > 0).nonzero().tolist():
            domain = int(batch.target_domain_ids[row, column])
            pool = datamodule.catalog.candidates[domain - 1]
            pool = pool[datamodule.catalog.train_counts[pool] > 0]
            logits = keys[pool] @ queries[row, column] + bias[pool]
            target = logits[pool == batch.target_ids[row, column]]
            expected.append((logits.logsumexp(0) - target).item())
        losses = sorted(module.losses(batch)[index].tolist())
        assert losses == pytest.approx(sorted(expected), abs=1e-4)


def test_dislikes_are_negatives_of_their_own_user_in_their_domain(
    datamodule: BehaviorDataModule,
) -> None:
    module = fused(datamodule).eval()
    module.scorer.log_scales.data.zero_()  # every term matters
    batch = next(iter(datamodule.train_dataloader()))
    disliked = torch.zeros(len(batch.item_ids), 3, dtype=torch.int64)
    row = int((batch.target_ids > 0).any(dim=1).nonzero()[0])
    target = int(batch.target_ids[row][batch.target_ids[row] > 0][0])
    others = [int(datamodule.catalog.candidates[d][0]) for d in (0, 1)]
    disliked[row] = torch.tensor([*others, target])
    before, after = (
        module.losses(each)[0] for each in (batch, batch._replace(disliked_ids=disliked))
    )
    queries = module.scorer.channel_list()[0].queries(batch) * module.scorer.log_scales[0].exp()
    keys, bias = module.scorer.channel_list()[0].keys(), module.scorer.bias
    expected, place = before.tolist(), 0
    for domain in (1, 2):
        here = {*others, target} & set(datamodule.catalog.candidates[domain - 1].tolist())
        for each, column in (batch.target_domain_ids == domain).nonzero().tolist():
            own = int(batch.target_ids[each, column])
            for item in (here - {own}) & set(disliked[each].tolist()):
                query = queries[each, column]
                positive = (query @ keys[own] + bias[own]).item()
                negative = (query @ keys[item] + bias[item]).item()
                # One more term under the fraction of the softmax.
                fraction = math.exp(expected[place]) + math.exp(negative - positive)
                expected[place] = math.log(fraction)
            place += 1
    assert after.tolist() == pytest.approx(expected, abs=1e-4)
    assert after.tolist() != pytest.approx(before.tolist(), abs=1e-4)


def test_the_loss_is_a_weighted_mean(datamodule: BehaviorDataModule) -> None:
    module = fused(datamodule).eval()
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    batch = next(iter(datamodule.train_dataloader()))
    losses = module.losses(batch).sum(dim=0)
    plain = module.training_step(batch, 0).item()
    assert plain == pytest.approx(losses.mean().item())
    doubled = batch._replace(target_weights=batch.target_weights * 2)
    assert module.training_step(doubled, 0).item() == pytest.approx(plain)
    weights = torch.rand(batch.target_weights.shape, generator=torch.Generator().manual_seed(0))
    by_domain = [weights[batch.target_domain_ids == domain] for domain in (1, 2)]
    expected = (losses * torch.cat(by_domain)).sum() / torch.cat(by_domain).sum()
    weighted = batch._replace(target_weights=weights)
    assert module.training_step(weighted, 0).item() == pytest.approx(expected.item(), rel=1e-5)
    assert expected.item() != pytest.approx(plain, rel=1e-3)


@pytest.mark.parametrize(
    "negatives",
    [
        PopularityNegativesConfig(),
        InBatchNegativesConfig(),
        InBatchNegativesConfig(uniform_share=0.0),
        HardNegativesConfig(nearest=4, skip=1),
    ],
    ids=repr,
)
def test_every_kind_of_negatives_trains(
    datamodule: BehaviorDataModule, tmp_path: Path, negatives: NegativesConfig
) -> None:
    seed_everything(0, verbose=False)
    module = fused(datamodule, negatives, num_negatives=6)
    full = fused(datamodule).eval()
    batch = next(iter(datamodule.train_dataloader()))
    disliking = batch._replace(disliked_ids=batch.item_ids[:, :2])
    assert module.losses(disliking).shape == module.losses(batch).shape
    full.load_state_dict(module.state_dict())
    before = full.losses(batch).mean().item()
    fit(module, datamodule, tmp_path)
    full.load_state_dict(module.state_dict())
    assert full.losses(batch).mean().item() < before


def test_a_batch_without_targets_has_a_finite_loss(datamodule: BehaviorDataModule) -> None:
    module = fused(datamodule)
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    batch = next(iter(datamodule.train_dataloader()))
    empty = torch.zeros_like(batch.target_ids)
    loss = module.training_step(batch._replace(target_ids=empty, target_domain_ids=empty), 0)
    assert loss.item() == 0.0
    loss.backward()


def test_two_runs_of_a_seed_give_the_same_figures(
    datamodule: BehaviorDataModule, tmp_path: Path
) -> None:
    figures = []
    for _ in range(2):
        seed_everything(3, verbose=False)
        module = fused(datamodule)
        trainer = fit(module, datamodule, tmp_path)
        figures.append(
            (
                trainer.callback_metrics["train/loss"].item(),
                trainer.validate(module, datamodule, verbose=False),
            )
        )
    assert figures[0] == figures[1]


def test_training_lowers_the_loss(datamodule: BehaviorDataModule, tmp_path: Path) -> None:
    seed_everything(0, verbose=False)
    module = fused(datamodule)
    batch = next(iter(datamodule.train_dataloader()))
    before = module.losses(batch).mean().item()
    fit(module, datamodule, tmp_path)
    assert module.losses(batch).mean().item() < before


def test_scores_follow_the_weights_after_further_training(
    datamodule: BehaviorDataModule, tmp_path: Path
) -> None:
    module = fused(datamodule)
    trainer = fit(module, datamodule, tmp_path)
    before = trainer.test(module, datamodule, verbose=False)
    with torch.no_grad():
        module.scorer.bias += torch.randn(len(module.scorer.bias)) * 100
    assert trainer.test(module, datamodule, verbose=False) != before


def test_weights_are_fitted_on_validation_targets_in_a_fit_only(
    datamodule: BehaviorDataModule, tmp_path: Path
) -> None:
    module = fused(datamodule)
    trainer = fit(module, datamodule, tmp_path)
    fitted = module.scorer.weights.clone()
    module.scorer.set_weights(1, torch.tensor([1.0, 9.0]))
    trainer.validate(module, datamodule, verbose=False)
    assert module.scorer.weights[1].tolist() == [1.0, 9.0]
    module.fit_weights(datamodule.val_dataloader())
    torch.testing.assert_close(module.scorer.weights, fitted)


def test_weights_of_the_config_stay_without_calibration(
    datamodule: BehaviorDataModule, tmp_path: Path
) -> None:
    module = fused(datamodule)
    module.calibration_targets = 0
    before = module.scorer.weights.clone()
    fit(module, datamodule, tmp_path)
    assert torch.equal(module.scorer.weights, before)


def test_a_validated_module_can_be_fitted(datamodule: BehaviorDataModule, tmp_path: Path) -> None:
    module = fused(datamodule)
    fit(module, datamodule, tmp_path).validate(module, datamodule, verbose=False)
    trainer = fit(module, datamodule, tmp_path)
    assert trainer.callback_metrics["val/ndcg@10"].isfinite()


def test_a_checkpoint_of_another_width_is_refused(datamodule: BehaviorDataModule) -> None:
    module = fused(datamodule)
    checkpoint = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    narrow = SequenceChannelConfig(encoder=SASRecConfig(embed_dim=4, max_seq_len=12))
    other = FusionRecommender(datamodule.catalog, [narrow, KnowledgeChannelConfig(dim=8)])
    with pytest.raises(ValueError, match="does not fit the model"):
        other.on_load_checkpoint(checkpoint)
    module.on_load_checkpoint(checkpoint)


def test_two_processes_train_on_after_the_weights_were_fitted(
    tiny_dataset: Path, tiny_store: Path, tmp_path: Path
) -> None:
    config = {
        "trainer": {
            "accelerator": "cpu",
            "devices": 2,
            "strategy": "ddp",
            "max_epochs": 2,
            "default_root_dir": str(tmp_path),
            "enable_progress_bar": False,
        },
        "model": {
            "class_path": "xrec_lightning.modules.fusion.FusionRecommender",
            "init_args": {
                "channels": [
                    {"class_path": f"{CHANNELS}.sequence.SequenceChannelConfig"},
                    {
                        "class_path": f"{CHANNELS}.knowledge.KnowledgeChannelConfig",
                        "init_args": {"dim": 4},
                    },
                ]
            },
        },
        "data": {
            "class_path": "xrec_lightning.data.datamodules.behavior.BehaviorDataModule",
            "init_args": {
                "dataset": str(tiny_dataset),
                "knowledge": str(tiny_store),
                "batch_size": 8,
            },
        },
    }
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "xrec_lightning", "fit", f"--config={path}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    state = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    assert state["epoch"] == 1
