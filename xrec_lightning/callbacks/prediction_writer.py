"""What a predict run found, top-k lists or probabilities, as one parquet file with raw ids."""

import shutil
from pathlib import Path
from typing import Any, Protocol

import polars as pl
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override

from xrec_lightning.atomic import atomic_path
from xrec_lightning.batches import Catalog, ClickPredictions, ScoredItems
from xrec_lightning.schema import (
    DOMAIN,
    DOMAIN_INDEX,
    ITEM_ID,
    ITEM_INDEX,
    USER_ID,
    USER_INDEX,
)

PREDICTIONS_FILE = "predictions.parquet"
PARTS_FOLDER = ".predictions.parts"

RANK = "rank"
SCORE = "score"
PROBABILITY = "probability"

LIST_COLUMNS = (USER_ID, DOMAIN, RANK, ITEM_ID, SCORE)
CLICK_COLUMNS = (USER_ID, ITEM_ID, DOMAIN, PROBABILITY)


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
    domain and rank. For `ClickPredictions`: user_id, item_id, domain, probability; sorted by user,
    domain and item. Sorted is in the order of the indices. Each process streams part files, which
    the first one merges at the end, so the memory does not grow with the number of users. A
    ``fast_dev_run`` writes nothing.
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
        if isinstance(outputs, ScoredItems | ClickPredictions) and not _is_rehearsal(trainer):
            name = f"{trainer.global_rank:04d}-{dataloader_idx:02d}-{batch_idx:08d}.parquet"
            datamodule: NamesIndices = trainer.datamodule  # type: ignore[attr-defined]
            if isinstance(outputs, ScoredItems):
                rows = list_rows(outputs, datamodule)
            else:
                rows = click_rows(outputs, datamodule)
            rows.write_parquet(_parts_folder(trainer) / name)

    @override
    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.strategy.barrier("predictions end")
        parts = _parts_folder(trainer)
        if not trainer.is_global_zero or not parts.is_dir():
            return
        if any(parts.iterdir()):
            rows = pl.scan_parquet(parts / "*.parquet")
            is_list = RANK in rows.collect_schema()
            columns = LIST_COLUMNS if is_list else CLICK_COLUMNS
            order = [USER_INDEX, DOMAIN_INDEX, RANK if is_list else ITEM_INDEX]
            # A sampler that repeats rows to fill its last batch gives some rows twice.
            rows = rows.unique(order).sort(order).select(columns)
            with atomic_path(Path(trainer.default_root_dir) / PREDICTIONS_FILE) as partial:
                rows.sink_parquet(partial)
        shutil.rmtree(parts)


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


def click_rows(predicted: ClickPredictions, datamodule: NamesIndices) -> pl.DataFrame:
    """Return one row a prompt, with raw ids beside the indices."""
    is_prompt = torch.ones(len(predicted.user_ids), dtype=torch.bool)
    rows = pl.DataFrame(
        {
            USER_INDEX: _flat(predicted.user_ids, is_prompt),
            DOMAIN_INDEX: _flat(predicted.domain_ids, is_prompt),
            ITEM_INDEX: _flat(predicted.item_ids, is_prompt),
            PROBABILITY: predicted.probabilities.detach().cpu().float().numpy(),
        }
    )
    return _name_indices(rows, datamodule)


def _name_indices(rows: pl.DataFrame, datamodule: NamesIndices) -> pl.DataFrame:
    domains = pl.Series(datamodule.catalog.domains, dtype=pl.String)
    return rows.with_columns(
        datamodule.raw_user_ids.gather(rows[USER_INDEX] - 1).alias(USER_ID),
        domains.gather(rows[DOMAIN_INDEX] - 1).alias(DOMAIN),
        datamodule.raw_item_ids.gather(rows[ITEM_INDEX] - 1).alias(ITEM_ID),
    )


def _flat(ids: Tensor, is_item: Tensor) -> pl.Series:
    return pl.Series(ids.cpu()[is_item].numpy(), dtype=pl.Int32)


def _parts_folder(trainer: Trainer) -> Path:
    return Path(trainer.default_root_dir) / PARTS_FOLDER


def _is_rehearsal(trainer: Trainer) -> bool:
    # Lightning sets this attribute from a connector, out of mypy's sight.
    return bool(trainer.fast_dev_run)  # type: ignore[attr-defined]
