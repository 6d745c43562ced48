import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch.nn import functional

from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.data.datamodules.next_items import NextItemDataModule
from xrec_lightning.inference.embed import EmbedConfig, embed
from xrec_lightning.models.adversarial import AdversaryConfig
from xrec_lightning.models.baselines.text_knn import TextKNNConfig
from xrec_lightning.models.heads.contrastive import ContrastiveConfig
from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.full import FullTuning
from xrec_lightning.models.language.tuning.lora import LoraTuning
from xrec_lightning.modules.baseline import BaselineRecommender
from xrec_lightning.modules.finetune import LanguageFineTuner
from xrec_lightning.modules.tasks.next_item import NextItemTask, NextItemTaskConfig

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
pytestmark = pytest.mark.filterwarnings("ignore:.*(num_workers|LeafSpec|batch_idx|in eval mode)")


def make_data(dataset: Path | str, model: str, **options: Any) -> NextItemDataModule:
    settings = {"batch_size": 16, "max_tokens": 16, "eval_batch_tokens": 60, **options}
    return NextItemDataModule(Path(dataset), model, **settings)


def make_tuner(
    data: NextItemDataModule, rate: float = 1e-2, full: bool = False, **options: Any
) -> LanguageFineTuner:
    torch.manual_seed(0)
    return LanguageFineTuner(
        data.catalog,
        TowerConfig(model=data.model),
        FullTuning() if full else LoraTuning(rank=4),
        {"next_item": NextItemTaskConfig(**options)},
        optimizer=partial(torch.optim.SGD if full else torch.optim.AdamW, lr=rate),
        warmup_share=0.0,
    )


def make_trainer(folder: Path, devices: int = 1, **options: Any) -> Trainer:
    return Trainer(
        max_epochs=1,
        accelerator="cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        default_root_dir=folder,
        enable_checkpointing=False,
        **QUIET,
        **options,
    )


def task(module: LanguageFineTuner) -> NextItemTask:
    found = module.task("next_item")
    assert isinstance(found, NextItemTask)
    return found


def test_a_query_is_the_weighted_mean_of_unit_vectors(
    tiny_dataset: Path, tiny_language: str
) -> None:
    data = make_data(tiny_dataset, tiny_language)
    module = make_tuner(data, head=ContrastiveConfig(symmetric=False)).eval()
    batch = data.train_set[torch.arange(6).numpy()]
    seen: list[tuple[torch.Tensor, ...]] = []
    task(module).head.register_forward_pre_hook(lambda _, args: seen.append(args))
    task(module).loss(module.tower, batch)
    vectors = functional.normalize(module.tower(batch.texts), dim=1)
    ((queries, keys, _),) = seen
    for row in range(6):
        texts = zip(batch.history_rows[row], batch.history_weights[row], strict=True)
        expected = torch.stack([vectors[text] * weight for text, weight in texts]).sum(dim=0)
        torch.testing.assert_close(queries[row], expected)
        torch.testing.assert_close(keys[row], vectors[batch.target_rows[row]])


@pytest.mark.parametrize("chunk_size", [None, 5])
def test_it_learns_one_batch(
    chunk_size: int | None, tiny_dataset: Path, tiny_language: str
) -> None:
    data = make_data(tiny_dataset, tiny_language)
    module = make_tuner(data, chunk_size=chunk_size).eval()  # no dropout
    batch = data.train_set[torch.arange(8).numpy() * 11]
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = task(module).loss(module.tower, batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize(("history", "decay"), [(3, 0.7), (1, 1.0)])
def test_figures_are_those_of_text_knn_on_a_store_of_the_same_tower(
    history: int, decay: float, tiny_dataset: Path, tiny_language: str, tmp_path: Path
) -> None:
    store = embed(
        EmbedConfig(
            dataset=tiny_dataset, output=tmp_path / "store", model=tiny_language, max_tokens=16
        )
    )
    behavior = BehaviorDataModule(tiny_dataset, store, max_seq_len=1000)
    baseline = BaselineRecommender(behavior.catalog, TextKNNConfig(history=history, decay=decay))
    (expected,) = make_trainer(tmp_path).test(baseline, behavior, verbose=False)
    data = make_data(tiny_dataset, tiny_language, history_items=history, decay=decay)
    (found,) = make_trainer(tmp_path).test(make_tuner(data), data, verbose=False)
    assert len(expected) > 30
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name
    assert found.keys() - expected.keys() == {"test/loss", "test/domain_probe"}


def test_fit_logs_sampled_validation_under_its_name(
    tiny_dataset: Path, tiny_language: str, tmp_path: Path
) -> None:
    data = make_data(tiny_dataset, tiny_language, eval_targets=10, eval_candidates=5)
    module, trainer = make_tuner(data), make_trainer(tmp_path)
    trainer.fit(module, data)
    logged = set(trainer.callback_metrics)
    assert {"val/ndcg@10[of=5]", "val/loss[of=5]", "train/temperature", "train/loss"} <= logged
    assert "val/ndcg@10" not in logged
    assert not any(name.count("/") > 1 for name in logged)


def test_the_adversary_rises_and_learns_with_the_tower(
    tiny_dataset: Path, tiny_language: str, tmp_path: Path
) -> None:
    data = make_data(tiny_dataset, tiny_language, one_domain_batches=False)
    adversary = AdversaryConfig(strength=0.5, hidden_dim=4)
    module, trainer = make_tuner(data, domain_adversary=adversary), make_trainer(tmp_path)
    before = {name: weight.clone() for name, weight in task(module).named_parameters()}
    trainer.fit(module, data)
    assert {"train/adversary_loss", "val/domain_probe"} <= set(trainer.callback_metrics)
    steps = trainer.num_training_batches
    assert isinstance(steps, int)
    expected = AdversaryConfig(strength=0.5, hidden_dim=4).build(4, 2)
    expected.follow((steps - 1) / steps)
    strength = trainer.callback_metrics["train/adversary_strength"].item()
    assert strength == pytest.approx(expected.current)
    changed = [n for n, w in task(module).named_parameters() if not torch.equal(w, before[n])]
    assert any(name.startswith("adversary.discriminator") for name in changed)


def test_only_the_reversed_gradient_reaches_the_tower(
    tiny_dataset: Path, tiny_language: str
) -> None:
    data = make_data(tiny_dataset, tiny_language, one_domain_batches=False)
    module = make_tuner(data, full=True, domain_adversary=AdversaryConfig()).eval()
    batch = data.train_set[torch.arange(12).numpy() * 7]

    def weight_gradient() -> torch.Tensor:
        *_, weight = (w for w in module.tower.parameters() if w.requires_grad and w.ndim > 1)
        assert weight.grad is not None
        return weight.grad.clone()

    def gradient(progress: float) -> torch.Tensor:
        module.zero_grad()
        task(module).follow(progress)
        task(module).loss(module.tower, batch).backward()
        return weight_gradient()

    without, with_it = gradient(0.0), gradient(1.0)
    assert not torch.allclose(without, with_it)
    adversary = task(module).adversary
    assert adversary is not None
    adversary.current = -1.0  # the plain gradient of the discriminator's loss
    module.zero_grad()
    vectors = functional.normalize(module.tower(batch.texts), dim=1)
    adversary(vectors, batch.text_domain_ids).backward()
    plain = weight_gradient()
    strength = 2 / (1 + torch.exp(torch.tensor(-10.0)).item()) - 1
    torch.testing.assert_close(with_it, without - strength * plain, atol=1e-6, rtol=1e-4)


def train_and_test(dataset: str, model: str, folder: Path, devices: int) -> None:
    """Take two accumulated steps in chunks, test, and write weights and figures."""
    data = make_data(dataset, model, events_per_epoch=64, eval_batch_size=5)
    module = make_tuner(data, rate=0.1, full=True, chunk_size=6).eval()  # no dropout
    trainer = make_trainer(folder, devices, accumulate_grad_batches=2, limit_train_batches=4)
    trainer.fit(module, data)
    val = {name: v for name, v in trainer.callback_metrics.items() if name.startswith("val/")}
    (test,) = trainer.test(module, data, verbose=False)
    if trainer.is_global_zero:
        torch.save((module.state_dict(), val, test), folder / "result.pt")


def test_two_processes_learn_and_find_what_one_does(
    tiny_dataset: Path, tiny_language: str, tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    (tmp_path / "two").mkdir()
    command = [sys.executable, __file__, str(tiny_dataset), tiny_language, str(tmp_path / "two")]
    subprocess.run(command, env=environment, check=True, timeout=120)
    (tmp_path / "one").mkdir()
    train_and_test(str(tiny_dataset), tiny_language, tmp_path / "one", devices=1)
    weights, val, test = torch.load(tmp_path / "one" / "result.pt")
    weights_of_two, val_of_two, test_of_two = torch.load(tmp_path / "two" / "result.pt")
    data = make_data(tiny_dataset, tiny_language)
    start = make_tuner(data, full=True).state_dict()
    moved = 0
    for name, weight in weights.items():
        torch.testing.assert_close(weights_of_two[name], weight, atol=1e-6, rtol=1e-5, msg=name)
        moved += int(not torch.allclose(start[name], weight, atol=1e-5))
    assert moved > 20
    assert test.keys() == test_of_two.keys()
    assert len(test) > 30
    for one, two in ((val, val_of_two), (test, test_of_two)):
        for name, value in one.items():
            assert float(two[name]) == pytest.approx(float(value), abs=1e-5), name


if __name__ == "__main__":
    train_and_test(sys.argv[1], sys.argv[2], Path(sys.argv[3]), devices=2)
