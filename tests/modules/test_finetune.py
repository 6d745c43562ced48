from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch.utils.data import DataLoader
from transformers import BertConfig, BertModel

from xrec_lightning.batches import Catalog
from xrec_lightning.data.datamodules.instruction import InstructionDataModule
from xrec_lightning.data.datamodules.pairs import PairDataModule
from xrec_lightning.data.datamodules.several import SeveralDataModule
from xrec_lightning.models.balance import BalanceConfig, UncertaintyBalance
from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.adalora import AdaLoraTuning
from xrec_lightning.models.language.tuning.bottleneck import BottleneckTuning
from xrec_lightning.models.language.tuning.lora import LoraTuning
from xrec_lightning.modules.finetune import LanguageFineTuner
from xrec_lightning.modules.optim import RatesConfig
from xrec_lightning.modules.tasks.click import ClickTaskConfig
from xrec_lightning.modules.tasks.contrastive import ContrastiveTaskConfig

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
pytestmark = pytest.mark.filterwarnings("ignore:.*(num_workers|LeafSpec|batch_idx)")


@pytest.fixture
def datamodule(tiny_dataset: Path, tiny_language: str) -> PairDataModule:
    return PairDataModule(
        tiny_dataset, tiny_language, batch_size=8, pairs_per_epoch=16, min_count=1, min_lift=0.0
    )


def tuner(datamodule: PairDataModule, model: str) -> LanguageFineTuner:
    return LanguageFineTuner(
        datamodule.catalog,
        TowerConfig(model=model),
        LoraTuning(rank=2),
        {"pairs": ContrastiveTaskConfig()},
        optimizer=partial(torch.optim.AdamW, lr=1e-2),
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
    assert all("lora_" in name or name.startswith("tasks.pairs.head.") for name in weights)


def test_a_checkpoint_restores_the_whole_module(
    checkpoint: Path, datamodule: PairDataModule
) -> None:
    again = LanguageFineTuner.load_from_checkpoint(
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


def two_tasks(model: str, catalog: Catalog, balance: BalanceConfig | None) -> LanguageFineTuner:
    return LanguageFineTuner(
        catalog,
        TowerConfig(model=model),
        LoraTuning(rank=2),
        {"click": ClickTaskConfig(weight=0.5), "pairs": ContrastiveTaskConfig()},
        balance,
        optimizer=partial(torch.optim.AdamW, lr=1e-2),
    )


def two_parts(dataset: Path, model: str) -> SeveralDataModule:
    click = InstructionDataModule(dataset, model, batch_size=8, train_prompts=32, held_out=0.3)
    pairs = PairDataModule(
        dataset, model, batch_size=8, pairs_per_epoch=16, min_count=1, min_lift=0.0
    )
    return SeveralDataModule({"click": click, "pairs": pairs})


@pytest.mark.parametrize("balance", [None, UncertaintyBalance()])
def test_two_tasks_are_trained_and_reported_at_once(
    balance: BalanceConfig | None, tiny_dataset: Path, tiny_language: str, tmp_path: Path
) -> None:
    data = two_parts(tiny_dataset, tiny_language)
    module = two_tasks(tiny_language, data.catalog, balance)
    trainer = Trainer(max_epochs=1, default_root_dir=tmp_path, enable_checkpointing=False, **QUIET)
    before = {name: weight.clone() for name, weight in module.named_parameters()}
    trainer.fit(module, data)
    logged = {name: value.item() for name, value in trainer.callback_metrics.items()}
    assert {"train/click.loss", "train/pairs.loss", "train/pairs.temperature"} <= set(logged)
    assert {"val/click.auc", "val/pairs.ndcg@10"} <= set(logged)
    if balance is None:
        expected = 0.5 * logged["train/click.loss"] + logged["train/pairs.loss"]
        assert logged["train/loss"] == pytest.approx(expected, rel=1e-5)
    changed = {name for name, w in module.named_parameters() if not torch.equal(w, before[name])}
    for part in ("tasks.click.head", "tasks.pairs.head", "tower.model", "balance"):
        assert any(name.startswith(part) for name in changed) == (
            part != "balance" or balance is not None
        ), part
    assert "test/click.precision/1" in trainer.test(module, data, verbose=False)[0]


def test_a_model_without_tasks_is_refused(tiny_dataset: Path, tiny_language: str) -> None:
    catalog = two_parts(tiny_dataset, tiny_language).catalog
    with pytest.raises(ValueError, match="name at least one task"):
        LanguageFineTuner(catalog, TowerConfig(model=tiny_language), LoraTuning(), {})


class CountingTuning(LoraTuning):
    """LoRA that notes which steps it was told of, and whether their gradients were there."""

    def start(self, model: torch.nn.Module, total_steps: float) -> None:
        self.seen.append((0, total_steps))

    def after_step(self, model: torch.nn.Module, step: int) -> None:
        has_gradients = any(w.grad is not None and w.grad.any() for w in model.parameters())
        self.seen.append((step, has_gradients))

    @property
    def seen(self) -> list[tuple[int, float]]:
        return SEEN


SEEN: list[tuple[int, float]] = []


def test_the_tuning_follows_every_optimizer_step(
    datamodule: PairDataModule, tiny_language: str, tmp_path: Path
) -> None:
    SEEN.clear()
    module = LanguageFineTuner(
        datamodule.catalog,
        TowerConfig(model=tiny_language),
        CountingTuning(rank=2),
        {"pairs": ContrastiveTaskConfig()},
        optimizer=partial(torch.optim.AdamW, lr=1e-2),
    )
    Trainer(
        max_epochs=2,
        accumulate_grad_batches=2,
        default_root_dir=tmp_path,
        limit_val_batches=0,
        enable_checkpointing=False,
        **QUIET,
    ).fit(module, datamodule)
    assert SEEN == [(0, 2), (1, True), (2, True)]


def test_parts_have_rates_of_their_own(
    datamodule: PairDataModule, tiny_language: str, tmp_path: Path
) -> None:
    module = LanguageFineTuner(
        datamodule.catalog,
        TowerConfig(model=tiny_language),
        LoraTuning(rank=2),
        {"pairs": ContrastiveTaskConfig()},
        rates=RatesConfig(head=10.0),
        optimizer=partial(torch.optim.AdamW, lr=1e-3),
        warmup_share=0.0,
    )
    trainer = Trainer(max_steps=1, default_root_dir=tmp_path, limit_val_batches=0, **QUIET)
    trainer.fit(module, datamodule)
    rates = {
        id(weight): group["initial_lr"]
        for group in trainer.optimizers[0].param_groups
        for weight in group["params"]
    }
    of_part: dict[str, set[float]] = {"tasks.pairs.": set(), "lora_": set()}
    for name, weight in module.named_parameters():
        for part, found in of_part.items():
            if part in name:
                found.add(rates[id(weight)])
    assert of_part["tasks.pairs."] == {1e-3 * 10.0}
    assert of_part["lora_"] == {1e-3}


class Killed(Callback):
    """Stop a run after some steps, as if the process had been killed."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(self, trainer: Trainer, *args: object) -> None:
        if trainer.global_step == self.steps:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "killed.ckpt")
            trainer.should_stop = True


@pytest.mark.filterwarnings("ignore:.*eval mode")
@pytest.mark.parametrize("steps", [1, 3])
def test_a_resumed_run_of_adalora_equals_one_that_never_stopped(
    steps: int, tiny_dataset: Path, tiny_language: str, tmp_path: Path
) -> None:
    def run(callbacks: list[Callback], ckpt_path: Path | None = None) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        data = PairDataModule(
            tiny_dataset, tiny_language, batch_size=8, pairs_per_epoch=8, min_count=1, min_lift=0.0
        )
        module = LanguageFineTuner(
            data.catalog,
            TowerConfig(model=tiny_language),
            AdaLoraTuning(target_rank=1, initial_rank=3),
            {"pairs": ContrastiveTaskConfig()},
            optimizer=partial(torch.optim.AdamW, lr=1e-2),
        )
        module.tower.eval()  # no dropout: its draws are not part of a checkpoint
        trainer = Trainer(
            max_epochs=6,
            default_root_dir=tmp_path,
            limit_val_batches=0,
            callbacks=callbacks,
            enable_checkpointing=False,
            **QUIET,
        )
        trainer.fit(module, data, ckpt_path=ckpt_path, weights_only=True)
        return module.state_dict()

    whole = run([])
    run([Killed(steps)])
    resumed = run([], tmp_path / "killed.ckpt")
    assert any("rank_allocation" in name for name in whole)
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_an_adapter_that_cannot_be_merged_is_exported_alone(
    datamodule: PairDataModule, tiny_language: str, tmp_path: Path
) -> None:
    module = LanguageFineTuner(
        datamodule.catalog,
        TowerConfig(model=tiny_language),
        BottleneckTuning(placement="houlsby", reduction=4),
        {"pairs": ContrastiveTaskConfig()},
    )
    module.export(tmp_path)
    assert (tmp_path / "adapter" / "adapter_config.json").is_file()
    assert not (tmp_path / "merged").exists()
