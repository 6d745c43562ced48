"""Top-k lists with titles and reasons, from a trained recommender."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import torch
from lightning.fabric.utilities import move_data_to_device
from rich.console import Console
from rich.progress import track
from torch import Tensor

from xrec_lightning.atomic import atomic_path
from xrec_lightning.batches import SequenceBatch
from xrec_lightning.callbacks.prediction_writer import RANK, SCORE, list_rows
from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.inference.explain import reasons, short_titles
from xrec_lightning.inference.postprocess import (
    LIST_KEYS,
    Step,
    drop_duplicate_texts,
    drop_seen,
    postprocess,
    take_top_k,
)
from xrec_lightning.modules.fusion import FusionRecommender
from xrec_lightning.modules.ranking import RankingModule
from xrec_lightning.predictions import ScoredItems
from xrec_lightning.schema import (
    DOMAIN,
    ITEM_ID,
    ITEM_INDEX,
    REASON,
    TEXT,
    TITLE,
    USER_ID,
    USER_INDEX,
)

COLUMNS = (USER_ID, DOMAIN, RANK, ITEM_ID, SCORE, TITLE, REASON)
LIST_INDEX = "list"
FILE_TYPES = (".parquet", ".csv")


class Recommender:
    """Make the lists of users: score, drop what was seen or repeats, take the best, say why.

    Args:
        module: A trained recommender; put into evaluation mode.
        datamodule: The data it was trained on; its ``until`` sets what is known of each user.
        top_k: Items of a list.
        steps: Further steps before the best are taken, such as business rules.
        with_reasons: Whether to explain; baselines have no reasons, only channels give them.

    Raises:
        ValueError: If ``top_k`` is not positive.
    """

    def __init__(
        self,
        module: RankingModule,
        datamodule: BehaviorDataModule,
        *,
        top_k: int = 10,
        steps: Sequence[Step] = (),
        with_reasons: bool = True,
    ) -> None:
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        self.module = module.eval()
        self.module.on_predict_epoch_start()  # forgets what was computed before the last update
        self.datamodule = datamodule
        self.top_k = top_k
        self.steps = tuple(steps)
        self.with_reasons = with_reasons
        items = datamodule.prepared.items()
        self.items = items.select(pl.col(ITEM_INDEX).cast(pl.Int32), TITLE, TEXT)
        self.titles = short_titles(items)

    def lists(self, user_ids: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield the lists of every user and domain, a batch at a time, with `COLUMNS`.

        Args:
            user_ids: Raw ids of the users wanted; all by default.

        Raises:
            ValueError: If a user is not in the data.
        """
        requests = self.datamodule.requests(None if user_ids is None else list(user_ids))
        for rows in requests.iter_slices(self.datamodule.eval_batch_size):
            yield self.recommend(self.datamodule.request_batch(rows))

    @torch.no_grad()
    def recommend(self, batch: SequenceBatch) -> pl.DataFrame:
        """Return the lists of histories with one target domain each, with `COLUMNS`.

        Args:
            batch: Histories; no two of the same user and target domain.
        """
        batch = move_data_to_device(batch, self.module.device)
        rows = self._best(batch)
        if self.with_reasons and isinstance(self.module, FusionRecommender):
            rows = rows.with_columns(self._reasons(self.module, batch, rows).alias(REASON))
        else:
            rows = rows.with_columns(pl.lit(None, pl.String).alias(REASON))
        return rows.select(COLUMNS)

    def _best(self, batch: SequenceBatch) -> pl.DataFrame:
        """Return the rows of the lists, with the number of the list in ``LIST_INDEX``."""
        scores = self.module.candidate_scores(batch)
        lists = _list_indices(batch)
        chain = [
            drop_seen(_seen_items(batch)),
            drop_duplicate_texts,
            *self.steps,
            take_top_k(self.top_k),
        ]
        num_asked = 2 * self.top_k
        while True:
            scored = _top_items(scores, batch, num_asked)
            rows = list_rows(scored, self.datamodule).drop(RANK)
            rows = postprocess(rows.join(self.items, on=ITEM_INDEX, maintain_order="left"), chain)
            rows = rows.join(lists, on=LIST_KEYS, maintain_order="left")
            # Where many items share a text, they crowd out the rest: ask for more.
            is_short = scored.item_ids[:, -1].cpu() > 0
            is_short[rows.filter(pl.col(RANK) == self.top_k)[LIST_INDEX].to_list()] = False
            if num_asked >= scores.size(1) or not is_short.any():
                return rows
            num_asked *= 4

    def _reasons(
        self, module: FusionRecommender, batch: SequenceBatch, rows: pl.DataFrame
    ) -> pl.Series:
        places = rows[LIST_INDEX].to_numpy() * self.top_k + rows[RANK].to_numpy() - 1
        item_ids = np.zeros(len(batch.user_ids) * self.top_k, dtype=np.int64)
        item_ids[places] = rows[ITEM_INDEX].to_numpy()
        explained = torch.from_numpy(item_ids).view(-1, self.top_k).to(module.device)
        explanation = module.scorer.explain(batch, explained)
        sentences = reasons(explanation, batch, self.titles, self.datamodule.catalog.domains)
        return sentences.gather(places)


def recommend(recommender: Recommender, path: Path, user_ids: Sequence[str] | None = None) -> int:
    """Write the lists of users to a parquet or CSV file, whole or not at all.

    The memory does not grow with the number of users.

    Args:
        recommender: Makes the lists.
        path: File to be written; ``.parquet`` or ``.csv``.
        user_ids: Raw ids of the users wanted; all by default.

    Returns:
        Number of rows written.

    Raises:
        ValueError: If the file's type is unknown, a user is not in the data, or none is wanted.
    """
    if user_ids is not None and not user_ids:
        raise ValueError("there is no user to recommend to: the list of users is empty")
    if path.suffix not in FILE_TYPES:
        raise ValueError(f"{path}: the file must end in {' or '.join(FILE_TYPES)}")
    num_users = len(recommender.datamodule.raw_user_ids) if user_ids is None else len(user_ids)
    num_lists = num_users * len(recommender.datamodule.catalog.domains)
    num_batches = -(-num_lists // recommender.datamodule.eval_batch_size)
    num_rows = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
        batches = track(
            recommender.lists(user_ids),
            description="Recommending",
            total=num_batches,
            console=Console(stderr=True),
        )
        for index, rows in enumerate(batches):
            rows.write_parquet(Path(folder) / f"{index:08d}.parquet")
            num_rows += rows.height
        table = pl.scan_parquet(f"{folder}/*.parquet")
        with atomic_path(path) as partial:
            if path.suffix == ".csv":
                table.sink_csv(partial)
            else:
                table.sink_parquet(partial)
    return num_rows


def _list_indices(batch: SequenceBatch) -> pl.DataFrame:
    """Return which row of the batch is whose list."""
    indices = (batch.user_ids, batch.target_domain_ids[:, 0])
    return pl.DataFrame(
        {
            key: pl.Series(values.cpu().numpy(), dtype=pl.Int32)
            for key, values in zip(LIST_KEYS, indices, strict=True)
        }
    ).with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(LIST_INDEX))


def _top_items(scores: Tensor, batch: SequenceBatch, num_items: int) -> ScoredItems:
    best = scores.topk(min(num_items, scores.size(1)), dim=1)
    return ScoredItems(
        user_ids=batch.user_ids,
        domain_ids=batch.target_domain_ids[:, 0],
        item_ids=best.indices.masked_fill(best.values.isneginf(), 0),
        scores=best.values,
    )


def _seen_items(batch: SequenceBatch) -> pl.DataFrame:
    is_item = batch.seen_ids > 0
    users = batch.user_ids.unsqueeze(1).expand_as(batch.seen_ids)[is_item]
    return pl.DataFrame(
        {
            USER_INDEX: pl.Series(users.cpu().numpy(), dtype=pl.Int32),
            ITEM_INDEX: pl.Series(batch.seen_ids[is_item].cpu().numpy(), dtype=pl.Int32),
        }
    ).unique()
