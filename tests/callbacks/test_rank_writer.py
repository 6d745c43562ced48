"""A real Trainer over a toy module whose ranks are known, on one process and on two."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from xrec_lightning.batches import Catalog
from xrec_lightning.callbacks.rank_writer import RankWriter, write_metrics
from xrec_lightning.metrics.ranking import MRR, default_metrics
from xrec_lightning.metrics.sliced import SlicedRankMetrics
from xrec_lightning.predictions import RankedBatch

RANKS = [1, 5, 2, 40, 3, 1, 7]
"""Rank of each target row; rows 0 and 1 belong to user ``a``."""
USERS = ["a", "a", "b", "c", "d", "e", "f"]

CATALOG = Catalog(
    fingerprint="toy",
    domains=("grocery", "kitchen"),
    slices=("cold",),
    num_users=6,
    num_items=7,
    train_counts=torch.zeros(8, dtype=torch.int64),
    candidates=(torch.arange(1, 8, 2), torch.arange(2, 8, 2)),
    protocol="12ab",
)


class StridedSampler(Sampler[int]):
    """Give each process every second row; seven rows make an uneven share."""

    def __init__(self, rank: int, num_processes: int, repeats: bool) -> None:
        rows = [*range(len(RANKS)), *([0] if repeats else [])]
        self.rows = rows[rank::num_processes]

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


class Targets(LightningDataModule):
    def __init__(self, repeats: bool = False, ties: str = "shuffle") -> None:
        super().__init__()
        self.repeats = repeats
        self.catalog = CATALOG._replace(ties=ties)

    def test_dataloader(self) -> DataLoader:
        rank, num_processes = self.trainer.global_rank, self.trainer.world_size
        sampler = StridedSampler(rank, num_processes, self.repeats)
        return DataLoader(torch.arange(len(RANKS)), batch_size=2, sampler=sampler)

    def describe_targets(self, split: str, row_ids: Tensor) -> pl.DataFrame:
        assert split == "test"
        rows = row_ids.tolist()
        return pl.DataFrame(
            {
                "user_id": [USERS[row] for row in rows],
                "domain": ["grocery" if row % 2 else "kitchen" for row in rows],
                "item_id": [f"i{row}" for row in rows],
                "timestamp": [100 + row for row in rows],
                "slice_cold": [row == 3 for row in rows],
            }
        )


class Ranker(LightningModule):
    def __init__(self, stage: str = "test") -> None:
        super().__init__()
        self.stage = stage
        self.metrics = SlicedRankMetrics(default_metrics(), ["cold"])

    def test_step(self, row_ids: Tensor, batch_idx: int) -> RankedBatch:
        ranks = torch.tensor(RANKS)[row_ids]
        self.metrics.update(ranks, (row_ids == 3).unsqueeze(1))
        return RankedBatch(row_ids, ranks, torch.full_like(ranks, 50))

    def on_test_epoch_end(self) -> None:
        values = self.metrics.compute().items()
        self.log_dict({f"{self.stage}/{key}": value for key, value in values})


def run_test(
    folder: Path,
    devices: int = 1,
    repeats: bool = False,
    ties: str = "shuffle",
    **options: bool,
) -> None:
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        callbacks=[RankWriter()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **options,
    )
    datamodule = Targets(repeats, ties)
    trainer.test(Ranker(datamodule.catalog.test_stage), datamodule, verbose=False)


pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # Lightning 2.6 on torch 2.13
]


def test_rows_and_figures_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "11")
    run_test(tmp_path)
    rows = pl.read_parquet(tmp_path / "per_user.parquet")
    assert rows.columns == [
        "user_id", "domain", "item_id", "timestamp", "rank", "num_candidates", "seed", "slice_cold"
    ]  # fmt: skip
    assert rows["rank"].to_list() == RANKS
    assert rows["item_id"].to_list() == [f"i{row}" for row in range(7)]
    assert rows["seed"].unique().to_list() == [11]
    assert rows.schema["rank"] == pl.Int32
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    expected = MRR(10)(torch.tensor(RANKS)).item()
    assert metrics["test/mrr@10"] == pytest.approx(expected, abs=1e-9)
    assert metrics["test/hr@10/cold"] == 0
    assert metrics["test/num_targets"] == 7
    assert metrics["test/num_targets/grocery"] == 3
    assert metrics["test/num_targets/cold"] == 1
    # User a counts once, with the mean of its two targets.
    by_user = [(1 + 1 / 5) / 2, 1 / 2, 0, 1 / 3, 1, 1 / 7]
    assert metrics["test/mrr@10/user"] == pytest.approx(sum(by_user) / 6)


def test_the_protocol_stands_beside_the_figures(tmp_path: Path) -> None:
    run_test(tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics.pop("protocol") == "12ab"
    assert all(key.startswith("test/") for key in metrics)


def test_no_key_hides_that_ties_were_believed(tmp_path: Path) -> None:
    run_test(tmp_path / "file", ties="file")
    run_test(tmp_path / "shuffle")
    believing = json.loads((tmp_path / "file" / "metrics.json").read_text())
    shuffled = json.loads((tmp_path / "shuffle" / "metrics.json").read_text())
    assert {key.replace("test[ties=file]/", "test/", 1): believing[key] for key in believing} == (
        shuffled
    )
    assert [key for key in believing if key.startswith("test/")] == []


def test_without_a_seed_the_column_is_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    run_test(tmp_path)
    assert pl.read_parquet(tmp_path / "per_user.parquet")["seed"].null_count() == 7


def test_two_processes_write_the_files_of_one(tmp_path: Path) -> None:
    run_test(tmp_path / "one")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, __file__, str(tmp_path / "two")]
    subprocess.run(command, env=environment, check=True, timeout=120)
    for name in ("per_user.parquet", "metrics.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_repeated_rows_are_written_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run_test(tmp_path, repeats=True)
    assert pl.read_parquet(tmp_path / "per_user.parquet").height == 7
    assert "1 targets were tested more than once" in caplog.text


def test_a_fast_dev_run_writes_nothing(tmp_path: Path) -> None:
    run_test(tmp_path, fast_dev_run=True)
    assert list(tmp_path.iterdir()) == []


def test_other_modules_get_their_metrics_alone(tmp_path: Path) -> None:
    class Classifier(Ranker):
        def test_step(self, row_ids: Tensor, batch_idx: int) -> None:
            self.log("test/auc", torch.tensor(0.5))

        def on_test_epoch_end(self) -> None:
            pass

    trainer = Trainer(
        default_root_dir=tmp_path, accelerator="cpu", logger=False, callbacks=[RankWriter()],
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.test(Classifier(), Targets(), verbose=False)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]
    assert json.loads((tmp_path / "metrics.json").read_text()) == {
        "protocol": "12ab",
        "test/auc": 0.5,
    }


def test_nan_becomes_null(tmp_path: Path) -> None:
    write_metrics("12ab", {"a": float("nan"), "b": 1}, tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text())
    assert content == {"protocol": "12ab", "a": None, "b": 1}


if __name__ == "__main__":
    run_test(Path(sys.argv[1]), devices=2)
