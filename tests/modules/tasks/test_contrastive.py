from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from xrec_lightning.callbacks.model_folder import ModelFolderWriter
from xrec_lightning.data.datamodules.pairs import PairDataModule
from xrec_lightning.data.text.cooccurrence import TextPairs
from xrec_lightning.models.heads.contrastive import ContrastiveConfig
from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.base import TuningConfig
from xrec_lightning.models.language.tuning.full import FullTuning
from xrec_lightning.models.language.tuning.lora import LoraTuning
from xrec_lightning.modules.finetune import LanguageFineTuner
from xrec_lightning.modules.tasks.contrastive import ContrastiveTaskConfig

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
pytestmark = pytest.mark.filterwarnings("ignore:.*(num_workers|LeafSpec|batch_idx)")


@pytest.fixture
def datamodule(tiny_dataset: Path, tiny_language: str) -> PairDataModule:
    return PairDataModule(
        tiny_dataset,
        tiny_language,
        batch_size=8,
        pairs_per_epoch=32,
        eval_pairs=8,
        held_out=0.2,
        min_count=1,
        min_lift=0.0,
    )


def tuner(
    datamodule: PairDataModule, model: str, tuning: TuningConfig | None = None
) -> LanguageFineTuner:
    torch.manual_seed(0)
    return LanguageFineTuner(
        datamodule.catalog,
        TowerConfig(model=model),
        tuning or LoraTuning(rank=4),
        {"pairs": ContrastiveTaskConfig(head=ContrastiveConfig(temperature=0.07))},
        optimizer=partial(torch.optim.AdamW, lr=1e-2),
    )


def disjoint(pairs: TextPairs) -> list[int]:
    """Return rows of pairs that share no text, so that nothing contradicts them."""
    rows, used = [], set[int]()
    for row, ends in enumerate(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)):
        if not used & set(ends):
            rows.append(row)
            used |= set(ends)
    return rows


def trainer(folder: Path, epochs: int = 1) -> Trainer:
    return Trainer(
        max_epochs=epochs,
        default_root_dir=folder,
        callbacks=[ModelFolderWriter()],
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        **QUIET,
    )


@pytest.mark.parametrize("tuning", [LoraTuning(rank=8, alpha=32), FullTuning()])
def test_it_learns_the_pairs_of_one_batch(
    datamodule: PairDataModule, tiny_language: str, tuning: TuningConfig
) -> None:
    module = tuner(datamodule, tiny_language, tuning).eval()  # no dropout
    datamodule.setup("fit")
    batch = datamodule.train_pairs.__getitems__(disjoint(datamodule.train_pairs.pairs)[:6])
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = module.task("pairs").loss(module.tower, batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_fit_logs_retrieval_and_writes_adapter_and_merged_model(
    datamodule: PairDataModule, tiny_language: str, tmp_path: Path
) -> None:
    module = tuner(datamodule, tiny_language)
    run = trainer(tmp_path)
    run.fit(module, datamodule)
    assert {"train/loss", "val/loss", "val/ndcg@10", "val/recall@10"} <= set(run.callback_metrics)
    assert set(run.test(module, datamodule, verbose=False)[0]) == {
        "test/loss",
        "test/ndcg@10",
        "test/recall@10",
    }
    batch = next(iter(datamodule.val_dataloader()))
    tuned = module.tower.eval()(batch.left)
    merged = TowerConfig(model=str(tmp_path / "merged")).build().eval()
    adapter = TowerConfig(model=tiny_language, adapter=str(tmp_path / "adapter")).build().eval()
    base = TowerConfig(model=tiny_language).build().eval()
    torch.testing.assert_close(merged(batch.left), tuned, atol=1e-5, rtol=0)
    torch.testing.assert_close(adapter(batch.left), tuned, atol=1e-5, rtol=0)
    assert not torch.allclose(base(batch.left), tuned, atol=1e-3)


def test_chunks_change_no_gradient_of_a_batch_of_pairs(
    datamodule: PairDataModule, tiny_language: str
) -> None:
    module = tuner(datamodule, tiny_language).eval()  # no dropout, whose masks follow the chunks
    datamodule.setup("fit")
    batch = next(iter(datamodule.train_dataloader()))
    found = []
    for chunk_size in (None, 3):
        task = ContrastiveTaskConfig(chunk_size=chunk_size).build(module.tower, datamodule.catalog)
        module.zero_grad()
        task.loss(module.tower, batch).backward()
        found.append([w.grad for w in module.tower.parameters() if w.grad is not None])
    assert len(found[0]) > 10
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_full_tuning_writes_no_adapter(
    datamodule: PairDataModule, tiny_language: str, tmp_path: Path
) -> None:
    trainer(tmp_path).fit(tuner(datamodule, tiny_language, FullTuning()), datamodule)
    assert (tmp_path / "merged" / "config.json").is_file()
    assert not (tmp_path / "adapter").exists()


def test_training_refuses_a_graph_without_training_edges(
    datamodule: PairDataModule, tiny_language: str, tmp_path: Path
) -> None:
    edges = datamodule.prepared.folder / "graph" / "item_item.parquet"
    aside = edges.with_suffix(".aside")
    edges.rename(aside)
    try:
        with pytest.raises(FileNotFoundError, match=r"item_item\.parquet.*xrec prepare"):
            trainer(tmp_path).fit(tuner(datamodule, tiny_language), datamodule)
    finally:
        aside.rename(edges)
