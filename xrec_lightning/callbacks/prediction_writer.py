"""What a predict run found, lists, answers or classes, as one parquet file with raw ids."""

import shutil
from pathlib import Path
from typing import Any, Protocol

import polars as pl
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override

from xrec_lightning.atomic import atomic_path
from xrec_lightning.batches import Catalog
from xrec_lightning.predictions import (
    CandidateScores,
    ClassPredictions,
    ClickPredictions,
    RatingPredictions,
    ScoredItems,
)
from xrec_lightning.schema import (
    DOMAIN,
    DOMAIN_INDEX,
    ITEM_ID,
    ITEM_INDEX,
    RATING,
    USER_ID,
    USER_INDEX,
)

PREDICTIONS_FILE = "predictions.parquet"
PARTS_FOLDER = ".predictions.parts"

RANK = "rank"
SCORE = "score"
PROBABILITY = "probability"
CLASS = "class"

LIST_COLUMNS = (USER_ID, DOMAIN, RANK, ITEM_ID, SCORE)
OTHER_COLUMNS = (USER_ID, ITEM_ID, DOMAIN, CLASS, PROBABILITY, RATING, SCORE)
"""Columns of what is no list, as far as there are such."""


class NamesIndices(Protocol):
    """A datamodule that knows the raw ids behind indices; index k is row k - 1 of each series."""

    @property
    def catalog(self) -> Catalog:
        """Domains and counts."""
        ...

    @property
    def raw_user_ids(self) -> pl.Series:
        """Raw ids of the users."""
        ...

    @property
    def raw_item_ids(self) -> pl.Series:
        """Raw ids of the items."""
        ...


class PredictionWriter(Callback):
    """Write what a predict run returns as ``predictions.parquet`` into the run folder.

    Columns for `ScoredItems`: user_id, domain, rank (from 1), item_id, score; sorted by user,
    domain and rank. For prompts: user_id, item_id, domain, and probability (`ClickPredictions`),
    rating (`RatingPredictions`) or score (`CandidateScores`). For `ClassPredictions`: user_id or
    item_id, domain, class, probability. Both are sorted by user, domain and item. Sorted is in the
    order of the indices. Each process streams part files, which the first one merges at the end, so
    the memory does not grow with the number of users. A ``fast_dev_run`` writes nothing.
    """

    @override
    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            shutil.rmtree(_parts_folder(trainer), ignore_errors=True)
            if not _is_rehearsal(trainer):
                _parts_folder(trainer).mkdir(parents=True)
        trainer.strategy.barrier("predictions start")

    @override
    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        datamodule: NamesIndices = trainer.datamodule  # type: ignore[attr-defined]
        rows = None if _is_rehearsal(trainer) else prediction_rows(outputs, datamodule)
        if rows is not None:
            name = f"{trainer.global_rank:04d}-{dataloader_idx:02d}-{batch_idx:08d}.parquet"
            rows.write_parquet(_parts_folder(trainer) / name)

    @override
    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.strategy.barrier("predictions end")
        parts = _parts_folder(trainer)
        if not trainer.is_global_zero or not parts.is_dir():
            return
        if any(parts.iterdir()):
            rows = pl.scan_parquet(parts / "*.parquet")
            found = rows.collect_schema()
            is_list = RANK in found
            columns = LIST_COLUMNS if is_list else [c for c in OTHER_COLUMNS if c in found]
            order = [USER_INDEX, DOMAIN_INDEX, RANK if is_list else ITEM_INDEX]
            # A sampler that repeats rows to fill its last batch gives some rows twice.
            rows = rows.unique(order).sort(order).select(columns)
            with atomic_path(Path(trainer.default_root_dir) / PREDICTIONS_FILE) as partial:
                rows.sink_parquet(partial)
        shutil.rmtree(parts)


def prediction_rows(outputs: Any, datamodule: NamesIndices) -> pl.DataFrame | None:
    """Return the rows of one batch, with raw ids beside the indices; None for other outputs."""
    match outputs:
        case ScoredItems():
            return list_rows(outputs, datamodule)
        case ClickPredictions():
            return _answer_rows(outputs, {PROBABILITY: outputs.probabilities}, datamodule)
        case RatingPredictions():
            return _answer_rows(outputs, {RATING: outputs.ratings}, datamodule)
        case CandidateScores():
            return _answer_rows(outputs, {SCORE: outputs.scores}, datamodule)
        case ClassPredictions():
            return class_rows(outputs, datamodule)
    return None


def list_rows(scored: ScoredItems, datamodule: NamesIndices) -> pl.DataFrame:
    """Return one row an item of each list, with raw ids beside the indices.

    Places without an item, where the domain has fewer candidates, give no row.
    """
    num_lists, top_k = scored.item_ids.shape
    ranks = torch.arange(1, top_k + 1).expand(num_lists, top_k)
    is_item = (scored.item_ids > 0).cpu()
    rows = pl.DataFrame(
        {
            USER_INDEX: _flat(scored.user_ids.unsqueeze(1).expand(-1, top_k), is_item),
            DOMAIN_INDEX: _flat(scored.domain_ids.unsqueeze(1).expand(-1, top_k), is_item),
            RANK: _flat(ranks, is_item),
            ITEM_INDEX: _flat(scored.item_ids, is_item),
            SCORE: scored.scores.detach().cpu().float()[is_item].numpy(),
        }
    )
    return _name_indices(rows, datamodule)


def class_rows(predicted: ClassPredictions, datamodule: NamesIndices) -> pl.DataFrame:
    """Return one row a text, with the name of its class."""
    rows = _answer_rows(predicted, {PROBABILITY: predicted.probabilities}, datamodule)
    classes = pl.Series(datamodule.catalog.classes, dtype=pl.String)
    return rows.with_columns(classes.gather(predicted.class_ids.cpu().numpy()).alias(CLASS))


def _answer_rows(
    predicted: ClickPredictions | RatingPredictions | CandidateScores | ClassPredictions,
    values: dict[str, Tensor],
    datamodule: NamesIndices,
) -> pl.DataFrame:
    """Return one row a prompt or text, with raw ids beside the indices."""
    is_row = torch.ones(len(predicted.user_ids), dtype=torch.bool)
    rows = pl.DataFrame(
        {
            USER_INDEX: _flat(predicted.user_ids, is_row),
            DOMAIN_INDEX: _flat(predicted.domain_ids, is_row),
            ITEM_INDEX: _flat(predicted.item_ids, is_row),
            **{name: each.detach().cpu().float().numpy() for name, each in values.items()},
        }
    )
    return _name_indices(rows, datamodule)


def _name_indices(rows: pl.DataFrame, datamodule: NamesIndices) -> pl.DataFrame:
    """Return rows with the raw ids of what they are of: no user, or no item, has index 0."""
    domains = pl.Series(datamodule.catalog.domains, dtype=pl.String)
    named = {
        USER_ID: (USER_INDEX, datamodule.raw_user_ids),
        DOMAIN: (DOMAIN_INDEX, domains),
        ITEM_ID: (ITEM_INDEX, datamodule.raw_item_ids),
    }
    return rows.with_columns(
        names.gather(rows[index] - 1).alias(name)
        for name, (index, names) in named.items()
        if rows[index].min() != 0
    )


def _flat(ids: Tensor, is_item: Tensor) -> pl.Series:
    return pl.Series(ids.cpu()[is_item].numpy(), dtype=pl.Int32)


def _parts_folder(trainer: Trainer) -> Path:
    return Path(trainer.default_root_dir) / PARTS_FOLDER


def _is_rehearsal(trainer: Trainer) -> bool:
    # Lightning sets this attribute from a connector, out of mypy's sight.
    return bool(trainer.fast_dev_run)  # type: ignore[attr-defined]
