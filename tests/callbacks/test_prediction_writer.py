"""A real Trainer over a toy module whose lists are known."""

from pathlib import Path

import polars as pl
import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from xrec_lightning.batches import Catalog
from xrec_lightning.callbacks.prediction_writer import PredictionWriter, list_rows, prediction_rows
from xrec_lightning.predictions import (
    CandidateScores,
    ClassPredictions,
    ClickPredictions,
    RatingPredictions,
    ScoredItems,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # Lightning 2.6 on torch 2.13
]

CATALOG = Catalog(
    fingerprint="toy",
    domains=("grocery", "kitchen"),
    slices=(),
    num_users=3,
    num_items=4,
    train_counts=torch.zeros(5, dtype=torch.int64),
    candidates=(torch.tensor([1, 2, 3]), torch.tensor([4])),
    classes=("cold", "warm"),
)

EXPECTED = pl.DataFrame(
    {
        "user_id": ["ann", "ann", "bob", "cat", "cat"],
        "domain": ["grocery", "grocery", "kitchen", "grocery", "grocery"],
        "rank": [1, 2, 1, 1, 2],
        "item_id": ["b", "c", "d", "b", "c"],
        "score": [2.0, 1.0, 2.0, 2.0, 1.0],
    },
    schema_overrides={"rank": pl.Int32, "score": pl.Float32},
)


class Users(LightningDataModule):
    """Users 1 and 3 are predicted in grocery, user 2 in kitchen, which has a single item."""

    catalog = CATALOG
    raw_user_ids = pl.Series(["ann", "bob", "cat"])
    raw_item_ids = pl.Series(["a", "b", "c", "d"])

    def __init__(self, order: tuple[int, ...] = (1, 2, 3)) -> None:
        super().__init__()
        self.order = order

    def predict_dataloader(self) -> DataLoader:
        return DataLoader(torch.tensor(self.order), batch_size=2)


class Recommender(LightningModule):
    def predict_step(self, user_ids: Tensor, batch_idx: int) -> ScoredItems:
        is_kitchen = (user_ids == 2).unsqueeze(1)
        return ScoredItems(
            user_ids=user_ids,
            domain_ids=torch.where(user_ids == 2, 2, 1),
            item_ids=torch.where(is_kitchen, torch.tensor([4, 0]), torch.tensor([2, 3])),
            scores=torch.where(is_kitchen, torch.tensor([2, -torch.inf]), torch.tensor([2.0, 1])),
        )


class Clicks(LightningModule):
    """Each user and item 1 and 4, of grocery and kitchen."""

    def predict_step(self, user_ids: Tensor, batch_idx: int) -> ClickPredictions:
        item_ids = torch.tensor([4, 1]).repeat(len(user_ids))
        users = user_ids.repeat_interleave(2)
        return ClickPredictions(users, item_ids, 1 + (item_ids == 4).long(), users / 10 + 0.5)


def predict(
    folder: Path, users: Users, module: type[LightningModule] = Recommender, **options: bool
) -> None:
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        callbacks=[PredictionWriter()],
        logger=False,
        enable_progress_bar=False,
        **options,
    )
    trainer.predict(module(), users, return_predictions=False)


def test_lists_carry_raw_ids_and_skip_missing_items() -> None:
    scored = Recommender().predict_step(torch.tensor([1, 2, 3]), 0)
    rows = list_rows(scored, Users())
    assert rows.select(EXPECTED.columns).equals(EXPECTED)
    assert rows["item_index"].to_list() == [2, 3, 4, 2, 3]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 1, 3, 1)])
def test_the_file_is_the_same_in_any_order(tmp_path: Path, order: tuple[int, ...]) -> None:
    predict(tmp_path, Users(order))
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.parquet"]
    assert pl.read_parquet(tmp_path / "predictions.parquet").equals(EXPECTED)


def test_clicks_are_written_a_row_a_prompt_with_raw_ids(tmp_path: Path) -> None:
    predict(tmp_path, Users((3, 1, 3)), Clicks)
    expected = pl.DataFrame(
        {
            "user_id": ["ann", "ann", "cat", "cat"],
            "item_id": ["a", "d", "a", "d"],
            "domain": ["grocery", "kitchen", "grocery", "kitchen"],
            "probability": [0.6, 0.6, 0.8, 0.8],
        },
        schema_overrides={"probability": pl.Float32},
    )
    assert pl.read_parquet(tmp_path / "predictions.parquet").equals(expected)


@pytest.mark.parametrize(
    ("kind", "column"), [(RatingPredictions, "rating"), (CandidateScores, "score")]
)
def test_ratings_and_scores_are_written_a_row_a_prompt(
    tmp_path: Path, kind: type[RatingPredictions | CandidateScores], column: str
) -> None:
    class Answers(LightningModule):
        def predict_step(self, users: Tensor, batch_idx: int) -> object:
            return kind(users, users, torch.ones_like(users), users * 1.5)

    predict(tmp_path, Users((3, 1)), Answers)
    expected = pl.DataFrame(
        {
            "user_id": ["ann", "cat"],
            "item_id": ["a", "c"],
            "domain": ["grocery", "grocery"],
            column: [1.5, 4.5],
        },
        schema_overrides={column: pl.Float32},
    )
    assert pl.read_parquet(tmp_path / "predictions.parquet").equals(expected)


@pytest.mark.parametrize("side", ["user", "item"])
def test_classes_are_written_by_name_with_the_ids_of_one_side(tmp_path: Path, side: str) -> None:
    class Classes(LightningModule):
        def predict_step(self, ids: Tensor, batch_idx: int) -> ClassPredictions:
            none, one = torch.zeros_like(ids), torch.ones_like(ids)
            users, items = (ids, none) if side == "user" else (none, ids)
            return ClassPredictions(users, items, one, ids // 2, ids / 4)

    predict(tmp_path, Users((3, 1)), Classes)
    ids = {"user": ["ann", "cat"], "item": ["a", "c"]}[side]
    expected = pl.DataFrame(
        {
            f"{side}_id": ids,
            "domain": ["grocery", "grocery"],
            "class": ["cold", "warm"],
            "probability": [0.25, 0.75],
        },
        schema_overrides={"probability": pl.Float32},
    )
    assert pl.read_parquet(tmp_path / "predictions.parquet").equals(expected)


def test_other_outputs_are_not_written() -> None:
    assert prediction_rows(torch.ones(2), Users()) is None


def test_parts_of_a_killed_run_are_dropped(tmp_path: Path) -> None:
    parts = tmp_path / ".predictions.parts"
    parts.mkdir()
    (parts / "0000-00-00000009.parquet").write_bytes(b"half")
    predict(tmp_path, Users())
    assert pl.read_parquet(tmp_path / "predictions.parquet").equals(EXPECTED)


def test_a_fast_dev_run_writes_nothing(tmp_path: Path) -> None:
    predict(tmp_path, Users(), fast_dev_run=True)
    assert list(tmp_path.iterdir()) == []
