from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.utils.data import DataLoader
from transformers import PreTrainedModel
from typing_extensions import override

from xrec_lightning.models.language.tuning.adalora import AdaLoraTuning
from xrec_lightning.models.language.tuning.adapters import load_adapter, save_adapter

Model = Callable[..., PreTrainedModel]
States = Callable[[nn.Module], Tensor]

TUNING = AdaLoraTuning(initial_rank=4, target_rank=1, every_n_steps=2, orthogonal_weight=0.1)
BATCHES = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 9], [4, 4, 8, 1]])
QUIET: dict[str, Any] = {
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
    "accelerator": "cpu",
}
pytestmark = pytest.mark.filterwarnings("ignore:.*(num_workers|LeafSpec|weights_only|in eval mode)")


class Tuner(LightningModule):
    """Tune on a made-up loss, as the module of fine-tuning does."""

    def __init__(self, model: PreTrainedModel, tuning: AdaLoraTuning = TUNING) -> None:
        super().__init__()
        self.tuning = tuning
        self.model = tuning.apply(model)

    @override
    def configure_optimizers(self) -> Optimizer:
        return AdamW([w for w in self.parameters() if w.requires_grad], lr=0.05)

    @override
    def on_fit_start(self) -> None:
        self.tuning.start(self.model, self.trainer.estimated_stepping_batches)

    @override
    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        states = self.model(input_ids=batch).last_hidden_state
        loss = (states * torch.linspace(-1, 1, 16)).square().mean()
        return loss + self.tuning.penalty(self.model)

    @override
    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        self.tuning.after_step(self.model, self.global_step + 1)


class StopAfter(Callback):
    """End a run early, as a kill between two epochs does."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 == self.epochs


def fit(tuner: Tuner, folder: Path, *, stop: int = 0, resume: Path | None = None) -> Trainer:
    trainer = Trainer(max_epochs=6, default_root_dir=folder, callbacks=[StopAfter(stop)], **QUIET)
    trainer.fit(tuner, DataLoader(BATCHES, batch_size=1), ckpt_path=resume)  # type: ignore[arg-type]
    return trainer


def ranks(model: nn.Module) -> list[int]:
    """Return how many ranks of each layer are in use."""
    return [
        int((weight != 0).sum())
        for name, weight in model.named_parameters()
        if name.endswith("lora_E.default")
    ]


@pytest.fixture
def tuner(tiny_model: Model, tmp_path: Path) -> Tuner:
    """A tuner after its whole run of 18 steps."""
    module = Tuner(tiny_model())
    fit(module, tmp_path)
    return module


def test_ranks_are_pruned_to_the_budget_and_not_all_alike(tuner: Tuner) -> None:
    found = ranks(tuner.model)
    assert len(found) == 2 * 6
    assert sum(found) == TUNING.target_rank * len(found)
    assert len(set(found)) > 1


def test_ranks_fall_step_by_step_between_warm_up_and_final_steps(tiny_model: Model) -> None:
    model = TUNING.apply(tiny_model())
    TUNING.start(model, 20)  # prunes after step 2 and up to step 14
    optimizer = AdamW([w for w in model.parameters() if w.requires_grad], lr=0.05)
    in_use = []
    for step in range(1, 21):
        optimizer.zero_grad()
        states = model(input_ids=BATCHES).last_hidden_state
        (states * torch.linspace(-1, 1, 16)).square().mean().backward()
        optimizer.step()
        TUNING.after_step(model, step)
        in_use.append(sum(ranks(model)))
    assert in_use[:3] == [48, 48, 48]
    assert in_use[13:] == [12] * 7
    pruned = in_use[3:14:2]  # every second step
    assert pruned == sorted(pruned, reverse=True)
    assert len(set(pruned)) > 3


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    stop: int, tuner: Tuner, tiny_model: Model, tmp_path: Path
) -> None:
    first = Tuner(tiny_model())
    fit(first, tmp_path, stop=stop).save_checkpoint(tmp_path / "stopped.ckpt")
    assert sum(ranks(first.model)) != sum(ranks(tuner.model)) or stop == 5
    second = Tuner(tiny_model())
    fit(second, tmp_path, resume=tmp_path / "stopped.ckpt")
    expected = tuner.state_dict()
    assert set(second.state_dict()) == set(expected)
    for name, weight in second.state_dict().items():
        assert torch.equal(weight, expected[name]), name


@pytest.mark.parametrize("stop", [2, 0])
def test_an_adapter_saved_in_the_midst_and_at_the_end_gives_equal_states(
    stop: int, tiny_model: Model, states: States, tmp_path: Path
) -> None:
    tuner = Tuner(tiny_model())
    fit(tuner, tmp_path, stop=stop)
    before = states(tuner.model.eval())
    save_adapter(tuner.model, tmp_path / "adapter")
    assert torch.equal(states(tuner.model), before)
    loaded = load_adapter(tiny_model(), tmp_path / "adapter")
    torch.testing.assert_close(states(loaded), before, atol=1e-5, rtol=1e-5)


def test_pruned_ranks_are_not_saved(tuner: Tuner, tiny_model: Model, tmp_path: Path) -> None:
    save_adapter(TUNING.apply(tiny_model()), tmp_path / "new")
    save_adapter(tuner.model, tmp_path / "pruned")
    new, pruned = (
        (tmp_path / name / "adapter_model.safetensors").stat().st_size for name in ("new", "pruned")
    )
    assert pruned < 0.7 * new


def test_the_penalty_is_the_distance_of_the_factors_from_orthogonal(tiny_model: Model) -> None:
    model = AdaLoraTuning(target_rank=1, initial_rank=2, orthogonal_weight=3.0).apply(tiny_model())
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_A." in name:
                weight.copy_(torch.eye(*weight.shape))
            elif ".lora_B." in name:
                weight.zero_()
    penalty = AdaLoraTuning(target_rank=1, initial_rank=2, orthogonal_weight=3.0).penalty(model)
    assert penalty is not None
    assert penalty.item() == pytest.approx(3.0 * (0.0 + 2**0.5) / 2)
    assert AdaLoraTuning(orthogonal_weight=0.0).penalty(model) is None


def test_a_run_without_an_end_is_refused(tiny_model: Model) -> None:
    with pytest.raises(ValueError, match="this one has no end; set trainer"):
        TUNING.start(TUNING.apply(tiny_model()), float("inf"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"target_rank": 12}, "target_rank: 12 is not between 0 and initial_rank 12"),
        ({"target_rank": 0}, "nothing to prune"),
        ({"warmup_share": 0.7}, "leave no step to prune"),
    ],
)
def test_a_schedule_that_prunes_nothing_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AdaLoraTuning(**wrong)
