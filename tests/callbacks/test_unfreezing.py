from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.utils.data import DataLoader
from typing_extensions import override

from xrec_lightning.batches import TextBatch
from xrec_lightning.callbacks.unfreezing import GradualUnfreezing
from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.base import TuningConfig
from xrec_lightning.models.language.tuning.full import FullTuning
from xrec_lightning.models.language.tuning.lora import LoraTuning
from xrec_lightning.modules.optim import RatesConfig, build_optimizer

TOKENS = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 9], [4, 4, 8, 1]])
QUIET: dict[str, Any] = {
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
    "accelerator": "cpu",
}
pytestmark = pytest.mark.filterwarnings("ignore:.*(num_workers|LeafSpec|weights_only)")


class Tuner(LightningModule):
    """Fit a number from a tower; the head is registered first, to be found all the same."""

    def __init__(self, tiny_language: str, tuning: TuningConfig) -> None:
        super().__init__()
        self.head = nn.Linear(16, 1)
        config = TowerConfig(model=tiny_language)
        self.tower = config.build(tuning.apply(config.load()))
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0

    @override
    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        vectors = self.tower(TextBatch(batch, torch.ones_like(batch, dtype=torch.bool)))
        return (self.head(vectors) - batch[:, :1]).square().mean()

    @override
    def configure_optimizers(self) -> Optimizer:
        return build_optimizer(self, partial(AdamW, lr=1e-2, weight_decay=0.1), RatesConfig())


class Watch(Callback):
    """Note after each epoch which weights have changed since the start, by their part."""

    def __init__(self) -> None:
        self.start: dict[str, Tensor] = {}
        self.changed: list[set[str]] = []
        self.with_state: list[set[str]] = []

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.start = {n: w.detach().clone() for n, w in pl_module.named_parameters()}

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        weights = dict(pl_module.named_parameters())
        moved = {part(n) for n, w in weights.items() if not torch.equal(w, self.start[n])}
        self.changed.append(moved)
        state = trainer.optimizers[0].state
        self.with_state.append({part(n) for n, w in weights.items() if w in state})


def part(name: str) -> str:
    for known in ("head", "layer.0", "layer.1", "embeddings"):
        if known in name:
            return known
    return name


def fit(
    tuner: LightningModule, folder: Path, callbacks: list[Callback], resume: Path | None = None
) -> Trainer:
    trainer = Trainer(max_epochs=4, default_root_dir=folder, callbacks=callbacks, **QUIET)
    trainer.fit(tuner, DataLoader(TOKENS), ckpt_path=resume)  # type: ignore[arg-type]
    return trainer


HEAD, LAST, BOTH = {"head"}, {"head", "layer.1"}, {"head", "layer.1", "layer.0"}
ALL = {*BOTH, "embeddings"}


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (GradualUnfreezing(), [LAST, BOTH, ALL, ALL]),
        (GradualUnfreezing(start_epoch=1), [HEAD, LAST, BOTH, ALL]),
        (GradualUnfreezing(every_n_epochs=2), [LAST, LAST, BOTH, BOTH]),
        (GradualUnfreezing(layers_per_step=2), [BOTH, ALL, ALL, ALL]),
    ],
)
def test_layers_join_from_the_last_and_what_is_frozen_has_no_state(
    schedule: GradualUnfreezing, expected: list[set[str]], tiny_language: str, tmp_path: Path
) -> None:
    watch = Watch()
    tuner = Tuner(tiny_language, FullTuning(freeze_embeddings=False))
    fit(tuner, tmp_path, [watch, schedule])
    assert watch.changed == expected
    assert watch.with_state == expected
    assert all(weight.requires_grad for weight in tuner.parameters())


@pytest.mark.parametrize("tuning", [FullTuning(), LoraTuning(rank=2)])
def test_what_the_tuning_froze_stays_frozen(
    tuning: TuningConfig, tiny_language: str, tmp_path: Path
) -> None:
    tuner = Tuner(tiny_language, tuning)
    before = {n: w.detach().clone() for n, w in tuner.named_parameters() if not w.requires_grad}
    fit(tuner, tmp_path, [GradualUnfreezing()])
    after = dict(tuner.named_parameters())
    assert before
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())
    assert {name for name, weight in after.items() if not weight.requires_grad} == set(before)


class StopAfter(Callback):
    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 == self.epochs


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    tiny_language: str, tmp_path: Path
) -> None:
    def tuner() -> Tuner:
        torch.manual_seed(0)
        return Tuner(tiny_language, FullTuning(freeze_embeddings=False))

    whole, first, second = tuner(), tuner(), tuner()
    fit(whole, tmp_path, [GradualUnfreezing()])
    stopped = fit(first, tmp_path, [GradualUnfreezing(), StopAfter(2)])
    stopped.save_checkpoint(tmp_path / "stopped.ckpt")
    fit(second, tmp_path, [GradualUnfreezing()], tmp_path / "stopped.ckpt")
    for name, weight in second.state_dict().items():
        assert torch.equal(weight, whole.state_dict()[name]), name
    assert not torch.equal(first.head.weight, whole.head.weight)


class Plain(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)

    @override
    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.layer(batch.float()).mean()

    @override
    def configure_optimizers(self) -> Optimizer:
        return AdamW(self.parameters())


def test_a_module_without_a_language_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="Plain has no language model to unfreeze"):
        fit(Plain(), tmp_path, [GradualUnfreezing()])


@pytest.mark.parametrize("name", ["start_epoch", "every_n_epochs", "layers_per_step"])
def test_a_schedule_that_makes_no_sense_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"GradualUnfreezing.{name}: -1 is not at least"):
        GradualUnfreezing(**{name: -1})
