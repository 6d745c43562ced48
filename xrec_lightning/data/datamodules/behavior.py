"""Behavior logs as batches of histories and targets."""

from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.data.behavior.augment import AugmentationConfig, Ints
from xrec_lightning.data.behavior.samplers import Locality, WindowSampler
from xrec_lightning.data.behavior.sequences import Targets, TrainingWindows, open_histories
from xrec_lightning.data.catalog import read_catalog
from xrec_lightning.data.datamodules.loading import as_it_is, loader_in_order
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.knowledge.store import KnowledgeStore
from xrec_lightning.schema import (
    DOMAIN,
    DOMAIN_INDEX,
    EXTRA_SEEN,
    HIDDEN,
    HISTORY_END,
    HISTORY_START,
    IS_HIDDEN,
    ITEM_ID,
    ITEM_INDEX,
    SEEN_END,
    SLICES,
    SPLIT,
    TEST,
    TIMESTAMP,
    USER_ID,
    USER_INDEX,
    VAL,
    slice_column,
)

Until = Literal["train", "val", "test", "now"]


class BehaviorDataModule(LightningDataModule):
    """Serve a prepared data set to recommenders.

    Args:
        dataset: A prepared folder, or the data YAML that `xrec prepare` was given.
        knowledge: The folder that `xrec embed` wrote; ``None`` for models without knowledge.
        batch_size: Histories of a training batch, over all processes.
        eval_batch_size: Targets of an evaluation batch, of each process.
        max_seq_len: Longest history, in items; the newest are kept.
        until: What ``predict`` knows of each user: the training part, what was known when the
            validation or test target was predicted, or everything.
        seed: Seed of the windows, their order and their augmentation.
        augmentations: What is done to the histories of training batches, from first to last.
        locality: Whether processes share all users, or each reads a contiguous range of them, its
            part of the memory-mapped arrays.
        domain_temperature: Above 1, small domains are trained on more often than they occur: in
            proportion to their windows to the power of one over this.
        max_dislikes: A user's last dislikes that are negatives of the user's training targets.

    Raises:
        InputError: If the temperature is not positive.
    """

    def __init__(
        self,
        dataset: Path,
        knowledge: Path | None = None,
        batch_size: int = 128,
        eval_batch_size: int = 256,
        max_seq_len: int = 50,
        until: Until = "now",
        seed: int = 0,
        augmentations: list[AugmentationConfig] | None = None,
        locality: Locality = "shuffle",
        domain_temperature: float = 1.0,
        max_dislikes: int = 32,
    ) -> None:
        super().__init__()
        self.prepared = Prepared.open(locate(dataset))
        self.store = None if knowledge is None else KnowledgeStore.open(knowledge)
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.max_seq_len = max_seq_len
        self.until = until
        self.seed = seed
        self.augmentations = augmentations or []
        self.locality: Locality = locality
        if domain_temperature <= 0:
            raise InputError(
                f"data.init_args.domain_temperature is {domain_temperature}: set it above 0; 1 "
                "leaves the domains as they are"
            )
        self.domain_temperature = domain_temperature
        self.max_dislikes = max_dislikes
        self.histories = open_histories(self.prepared)
        self.raw_item_ids: pl.Series = self.prepared.items()[ITEM_ID]
        self.raw_user_ids: pl.Series = self.prepared.users()[USER_ID]
        self.catalog = self._catalog()

    @override
    def train_dataloader(self) -> DataLoader[SequenceBatch]:
        trainer = self.trainer
        world_size, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
        sampler = WindowSampler(
            self.histories,
            self.max_seq_len,
            max(1, self.batch_size // world_size),
            self.seed,
            num_replicas=world_size,
            rank=rank,
            locality=self.locality,
            domain_temperature=self.domain_temperature,
        )
        windows = TrainingWindows(
            self.histories,
            [config.build(self.catalog) for config in self.augmentations],
            length=self.max_seq_len + 1,
            max_dislikes=self.max_dislikes,
        )
        # The sampler yields whole batches, which the dataset cuts from whole arrays.
        return DataLoader(windows, batch_size=None, sampler=sampler, collate_fn=as_it_is)

    @override
    def val_dataloader(self) -> DataLoader[SequenceBatch]:
        return self._rows(self.prepared.targets(VAL))

    @override
    def test_dataloader(self) -> DataLoader[SequenceBatch]:
        return self._rows(self.prepared.targets(TEST))

    @override
    def predict_dataloader(self) -> DataLoader[SequenceBatch]:
        return self._rows(self.requests())

    def requests(self, user_ids: list[str] | None = None) -> pl.DataFrame:
        """Return one row for every user and domain, in the form of a target file.

        Args:
            user_ids: The users wanted; all by default.

        Raises:
            ValueError: If a user is not in the data.
        """
        histories = self.histories
        users = np.arange(len(self.raw_user_ids))
        if user_ids is not None:
            unknown = sorted(set(user_ids) - set(self.raw_user_ids))
            if unknown:
                raise ValueError(f"user {unknown[0]!r} is not in {self.prepared.folder}")
            users = users[self.raw_user_ids.is_in(user_ids).to_numpy()]
        ends = self._known_ends()[users]
        frame = pl.DataFrame(
            {
                USER_INDEX: users + 1,
                ITEM_INDEX: np.zeros_like(users),
                HISTORY_START: histories.offsets[:-1][users],
                HISTORY_END: ends,
                SEEN_END: ends,
                EXTRA_SEEN: self._hidden_taken(users, ends),
            }
        )
        domains = pl.DataFrame({DOMAIN_INDEX: np.arange(1, len(self.catalog.domains) + 1)})
        return frame.join(domains, how="cross", maintain_order="left_right").with_columns(
            *(pl.lit(value=False).alias(slice_column(name)) for name in SLICES),
        )

    def request_batch(self, requests: pl.DataFrame) -> SequenceBatch:
        """Return the batch of rows made by `requests`."""
        rows = Targets(self.histories, requests, self.max_seq_len)
        return rows.__getitems__(range(len(rows)))

    def describe_targets(self, split: str, row_ids: Tensor) -> pl.DataFrame:
        """Return user, domain, item, time and slices of targets, in the order of ``row_ids``."""
        targets = self.prepared.targets(split)[row_ids.cpu().numpy()]
        domains = pl.Series(self.catalog.domains, dtype=pl.String)
        return targets.select(
            self.raw_user_ids.gather(targets[USER_INDEX] - 1).alias(USER_ID),
            domains.gather(targets[DOMAIN_INDEX] - 1).alias(DOMAIN),
            self.raw_item_ids.gather(targets[ITEM_INDEX] - 1).alias(ITEM_ID),
            pl.col(TIMESTAMP),
            *(pl.col(slice_column(name)) for name in SLICES),
        )

    def _catalog(self) -> Catalog:
        catalog = read_catalog(self.prepared)
        if self.store is None:
            return catalog
        rows = self.store.vectors("item", self.raw_item_ids.to_list()).float()
        return catalog._replace(
            vectors=torch.cat([torch.zeros(1, rows.size(1)), rows]),
            fingerprint=f"{catalog.fingerprint}+{self.store.fingerprint}",
        )

    def _known_ends(self) -> Ints:
        """Return the flat position at which each user's known history ends, shape ``(U,)``."""
        if self.until == "now":
            return self.histories.offsets[1:]
        ends = np.array(self.histories.train_ends)
        if self.until in (VAL, TEST):
            self._move(ends, self._own_targets(VAL), HISTORY_END)
        if self.until == TEST:
            # What a validation target leaves behind is known, where no test target says better.
            self._move(ends, self._own_targets(VAL), SEEN_END)
            self._move(ends, self._own_targets(TEST), HISTORY_END)
        return ends

    def _own_targets(self, split: str) -> pl.DataFrame:
        """Return each user's first target that is not hidden."""
        targets = self.prepared.targets(split).filter(~pl.col(IS_HIDDEN))
        return targets.group_by(USER_INDEX).agg(pl.col(HISTORY_END, SEEN_END).min())

    @staticmethod
    def _move(ends: Ints, targets: pl.DataFrame, column: str) -> None:
        """Set the ends of the users that have a target."""
        ends[targets[USER_INDEX].to_numpy() - 1] = targets[column].to_numpy()

    def _hidden_taken(self, users: Ints, ends: Ints) -> pl.Series:
        """Return the hidden items that each of ``users`` took before the end of what is known."""
        histories = self.histories
        is_all = ends >= histories.offsets[1:][users]
        next_times = histories.times[np.minimum(ends, len(histories.times) - 1)]
        cuts = np.where(is_all, np.iinfo(np.int64).max, next_times)
        asked = pl.DataFrame({USER_INDEX: users + 1, "cut": cuts}).cast({USER_INDEX: pl.Int32})
        hidden = self.prepared.interactions().filter(pl.col(SPLIT) == HIDDEN).collect()
        taken = asked.join(hidden, on=USER_INDEX).filter(pl.col(TIMESTAMP) < pl.col("cut"))
        lists = taken.group_by(USER_INDEX).agg(pl.col(ITEM_INDEX))
        joined = asked.join(lists, on=USER_INDEX, how="left", maintain_order="left")
        return joined[ITEM_INDEX].fill_null([]).alias(EXTRA_SEEN)

    def _rows(self, targets: pl.DataFrame) -> DataLoader[SequenceBatch]:
        rows = Targets(self.histories, targets, self.max_seq_len)
        return loader_in_order(rows, self.eval_batch_size, self.trainer)
