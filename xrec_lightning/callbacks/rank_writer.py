"""Ranks of every tested target, and the figures of the test, as files of the run folder."""

import json
import logging
import math
import os
from pathlib import Path
from typing import Any, Protocol

import polars as pl
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, distributed
from typing_extensions import override

from xrec_lightning.atomic import atomic_path, write_text
from xrec_lightning.batches import Catalog
from xrec_lightning.metrics.functional import mean_by_group
from xrec_lightning.metrics.ranking import default_metrics
from xrec_lightning.predictions import RankedBatch
from xrec_lightning.schema import DOMAIN, SLICES, TEST, USER_ID, slice_column

logger = logging.getLogger(__name__)

PER_USER_FILE = "per_user.parquet"
METRICS_FILE = "metrics.json"
PROTOCOL = "protocol"
"""Key of `METRICS_FILE` with the hash of what defines the evaluation."""

RANK = "rank"
NUM_CANDIDATES = "num_candidates"
SEED = "seed"


class DescribesTargets(Protocol):
    """A datamodule that names the targets of its evaluation batches."""

    catalog: Catalog
    """What the data knows."""

    def describe_targets(self, split: str, row_ids: Tensor) -> pl.DataFrame:
        """Return user_id, domain, item_id, timestamp and the slices of the rows, in their order."""
        ...


class RankWriter(Callback):
    """Write ``per_user.parquet`` and ``metrics.json`` into the run folder when a test ends.

    A ``test_step`` that returns `RankedBatch` gives one row a target, the same rows in the same
    order on any number of processes; without it only the metrics are written. ``metrics.json``
    holds the hash of the ``protocol`` of the data, what the module logged under ``test/``, the
    number of targets of each slice, and the means over users, such as ``test/ndcg@10/user``; for
    data that believe the order of ties in the file, ``test[ties=file]/`` takes the place of
    ``test/``. The run folder is ``trainer.default_root_dir``. A ``fast_dev_run`` writes nothing.
    """

    def __init__(self) -> None:
        self.batches: list[Tensor] = []

    @override
    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.batches = []

    @override
    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if isinstance(outputs, RankedBatch):
            self.batches.append(torch.stack(outputs, dim=1).to("cpu", torch.int64))

    @override
    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        rows = _gather(torch.cat(self.batches) if self.batches else torch.zeros(0, 3).long())
        self.batches = []
        # Lightning sets these attributes of the trainer from its connectors, out of mypy's sight.
        is_rehearsal = trainer.fast_dev_run  # type: ignore[attr-defined]
        if is_rehearsal or not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir)
        datamodule: DescribesTargets = trainer.datamodule  # type: ignore[attr-defined]
        catalog = datamodule.catalog
        stage = catalog.test_stage
        metrics = {
            key: value.item()
            for key, value in trainer.callback_metrics.items()
            if key.startswith((f"{TEST}/", f"{stage}/"))
        }
        if len(rows):
            per_user = _per_user(datamodule, rows)
            metrics |= {f"{stage}/{key}": value for key, value in _summary(per_user).items()}
            with atomic_path(folder / PER_USER_FILE) as partial:
                per_user.write_parquet(partial)
        write_metrics(catalog.protocol, metrics, folder / METRICS_FILE)


def write_metrics(protocol: str, metrics: dict[str, float], path: Path) -> None:
    """Write a protocol and figures as flat JSON; NaN and infinity, which it lacks, become null."""
    finite = {key: value if math.isfinite(value) else None for key, value in metrics.items()}
    write_text(json.dumps({PROTOCOL: protocol, **finite}, indent=2) + "\n", path)


def _gather(rows: Tensor) -> Tensor:
    """Return the rows of all processes, sorted by row id, each row once."""
    if distributed.is_available() and distributed.is_initialized():
        parts: list[Any] = [None] * distributed.get_world_size()
        distributed.all_gather_object(parts, rows)
        rows = torch.cat(parts)
    rows = rows[rows[:, 0].argsort(stable=True)]
    is_repeated = torch.zeros(len(rows), dtype=torch.bool)
    is_repeated[1:] = rows[1:, 0] == rows[:-1, 0]
    if is_repeated.any():
        logger.warning(
            "%d targets were tested more than once: the sampler repeats rows to fill its last "
            "batch, so the logged means count them twice",
            int(is_repeated.sum()),
        )
    return rows[~is_repeated]


def _per_user(datamodule: DescribesTargets, rows: Tensor) -> pl.DataFrame:
    row_ids, ranks, num_candidates = rows.unbind(dim=1)
    targets = datamodule.describe_targets(TEST, row_ids)
    seed = os.environ.get("PL_GLOBAL_SEED")
    figures = (
        pl.Series(RANK, ranks.numpy(), dtype=pl.Int32),
        pl.Series(NUM_CANDIDATES, num_candidates.numpy(), dtype=pl.Int32),
        pl.Series(SEED, [None if seed is None else int(seed)] * len(rows), dtype=pl.Int64),
    )
    slices = [name for name in targets.columns if name.startswith(slice_column(""))]
    return targets.with_columns(figures).select(pl.exclude(slices), *slices)


def _summary(per_user: pl.DataFrame) -> dict[str, float]:
    """Return numbers of targets, overall and by slice, and the means over users."""
    ranks = torch.from_numpy(per_user[RANK].to_numpy().copy()).double()
    users = torch.from_numpy(per_user[USER_ID].rank("dense").to_numpy().copy()).long()
    summary = {
        f"{metric.name}/user": mean_by_group(metric.values(ranks), users).item()
        for metric in default_metrics()
    }
    summary["num_targets"] = per_user.height
    for domain, count in per_user.group_by(DOMAIN).len().sort(DOMAIN).iter_rows():
        summary[f"num_targets/{domain}"] = count
    for name in SLICES:
        if slice_column(name) in per_user.columns:
            summary[f"num_targets/{name}"] = int(per_user[slice_column(name)].sum())
    return summary
