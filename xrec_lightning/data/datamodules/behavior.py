"""Behavior logs as batches of histories and targets."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.data.behavior.augment import AugmentationConfig, Mask
from xrec_lightning.data.behavior.corruption import Corruption
from xrec_lightning.data.behavior.domains import (
    TestHistory,
    choose_domains,
    count_items,
    keep_domains,
    show_domains,
    skip_users_without,
)
from xrec_lightning.data.behavior.known import Until, hidden_taken, known_ends
from xrec_lightning.data.behavior.samplers import Locality, WindowSampler
from xrec_lightning.data.behavior.sequences import (
    Histories,
    Targets,
    TrainingWindows,
    open_histories,
)
from xrec_lightning.data.catalog import read_catalog, training_histories, user_vector_reader
from xrec_lightning.data.datamodules.loading import as_it_is, loader_in_order
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.knowledge.store import KnowledgeStore
from xrec_lightning.schema import (
    DOMAIN,
    DOMAIN_INDEX,
    EXTRA_SEEN,
    HISTORY_END,
    HISTORY_START,
    ITEM_ID,
    ITEM_INDEX,
    SEEN_END,
    SLICES,
    TEST,
    TIMESTAMP,
    USER_ID,
    USER_INDEX,
    VAL,
    slice_column,
)


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
        train_domains: Domains whose interactions are training targets and whose targets are
            validated; all by default.
        history_domains: Domains whose interactions stand in histories; all by default. The same
            one domain here and in ``train_domains`` makes a single-domain twin.
        eval_domains: Domains whose targets are tested; ``train_domains`` by default.
        test_history: What histories of a test show: `trained` the ``history_domains``, `all`
            domains, or of ``history_domains`` only the `target_domain` or only the `others`. What
            was seen is no candidate either way; keys of figures say so: ``test[history=others]``.
        corrupt_events: Share of the events of a test's histories that become random items of their
            domain, the same for every model; figures are then under ``test[events=0.1]``.
        corrupt_text: Share of the items with text whose knowledge vectors change places in a test.
        corruption_seed: Seed of both.
        test_negatives: Candidates that a test ranks each target among, drawn uniformly, to compare
            with papers that do so; 0, all of them, is the figure to trust. Keys of figures say so:
            ``test[negatives=999]``. Validation ranks in full.
        learn_from_ties: Whether a training target sees the interactions of its own time that stand
            before it in their shuffled order, as if earlier. Where baskets are large this is much
            to learn from; what is validated and tested sees strictly earlier ones either way.

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
        train_domains: list[str] | None = None,
        history_domains: list[str] | None = None,
        eval_domains: list[str] | None = None,
        test_history: TestHistory = "trained",
        corrupt_events: float = 0.0,
        corrupt_text: float = 0.0,
        corruption_seed: int = 0,
        test_negatives: int = 0,
        learn_from_ties: bool = False,
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
        self.learn_from_ties = learn_from_ties
        self.modes = choose_domains(
            self.prepared.domains, train_domains, history_domains, eval_domains, test_history
        )
        self.corruption = Corruption(corrupt_events, corrupt_text, corruption_seed)
        if test_negatives < 0:
            raise InputError(
                f"data.init_args.test_negatives is {test_negatives}: set it to 0, all candidates, "
                "or above"
            )
        catalog = self._catalog()._replace(test_negatives=test_negatives)
        self.catalog = self.corruption.corrupt_catalog(catalog)

    @override
    def setup(self, stage: str) -> None:
        self.corruption.refuse_unless_test(stage)

    @override
    def train_dataloader(self) -> DataLoader[SequenceBatch]:
        trainer = self.trainer
        world_size, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
        histories = self._training_histories()
        sampler = WindowSampler(
            histories,
            self.max_seq_len,
            max(1, self.batch_size // world_size),
            self.seed,
            num_replicas=world_size,
            rank=rank,
            locality=self.locality,
            domain_temperature=self.domain_temperature,
        )
        hides = [] if self.modes.is_history[1:].all() else [show_domains(self.modes.is_history)]
        windows = TrainingWindows(
            replace(histories, is_ordered=histories.is_ordered or self.learn_from_ties),
            hides + [config.build(self.catalog) for config in self.augmentations],
            length=self.max_seq_len + 1,
            max_dislikes=self.max_dislikes,
            is_target=self.modes.is_target,
        )
        # The sampler yields whole batches, which the dataset cuts from whole arrays.
        return DataLoader(windows, batch_size=None, sampler=sampler, collate_fn=as_it_is)

    @override
    def val_dataloader(self) -> DataLoader[SequenceBatch]:
        return self._rows(self._targets(VAL), self.modes.shown_in_training())

    @override
    def test_dataloader(self) -> DataLoader[SequenceBatch]:
        visible = self.corruption.corrupt_histories(self.histories, self.catalog)
        return self._rows(self._targets(TEST), self.modes.shown_in_test(), visible)

    @override
    def predict_dataloader(self) -> DataLoader[SequenceBatch]:
        return self._rows(self.requests(), self.modes.shown_in_training())

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
        ends = known_ends(self.prepared, histories, self.until)[users]
        frame = pl.DataFrame(
            {
                USER_INDEX: users + 1,
                ITEM_INDEX: np.zeros_like(users),
                HISTORY_START: histories.offsets[:-1][users],
                HISTORY_END: ends,
                SEEN_END: ends,
                EXTRA_SEEN: hidden_taken(self.prepared, histories, users, ends),
            }
        )
        domains = pl.DataFrame({DOMAIN_INDEX: np.arange(1, len(self.catalog.domains) + 1)})
        return frame.join(domains, how="cross", maintain_order="left_right").with_columns(
            *(pl.lit(value=False).alias(slice_column(name)) for name in SLICES),
        )

    def request_batch(self, requests: pl.DataFrame) -> SequenceBatch:
        """Return the batch of rows made by `requests`."""
        rows = self._dataset(requests, self.modes.shown_in_training())
        return rows.__getitems__(range(len(rows)))

    def describe_targets(self, split: str, row_ids: Tensor) -> pl.DataFrame:
        """Return user, domain, item, time and slices of targets, in the order of ``row_ids``."""
        targets = self._targets(split)[row_ids.cpu().numpy()]
        domains = pl.Series(self.catalog.domains, dtype=pl.String)
        return targets.select(
            self.raw_user_ids.gather(targets[USER_INDEX] - 1).alias(USER_ID),
            domains.gather(targets[DOMAIN_INDEX] - 1).alias(DOMAIN),
            self.raw_item_ids.gather(targets[ITEM_INDEX] - 1).alias(ITEM_ID),
            pl.col(TIMESTAMP),
            *(pl.col(slice_column(name)) for name in SLICES),
        )

    def _catalog(self) -> Catalog:
        catalog = read_catalog(self.prepared)._replace(test_history=self.modes.test_label)
        if self.modes.is_limited:
            kept = keep_domains(self.histories, self.modes.is_kept)
            counts = torch.from_numpy(count_items(kept, catalog.num_items))
            catalog = catalog._replace(
                train_counts=counts, histories=partial(training_histories, kept)
            )
        if self.store is None:
            return catalog
        rows = self.store.vectors("item", self.raw_item_ids.to_list()).float()
        return catalog._replace(
            vectors=torch.cat([torch.zeros(1, rows.size(1)), rows]),
            user_vectors=user_vector_reader(self.prepared, self.store),
            fingerprint=f"{catalog.fingerprint}+{self.store.fingerprint}",
        )

    def _targets(self, split: str) -> pl.DataFrame:
        """Return the targets that are validated or tested, one a row."""
        mask = self.modes.is_target if split == VAL else self.modes.is_tested
        targets = self.prepared.targets(split)
        if mask[1:].all():
            return targets
        return targets.filter(pl.col(DOMAIN_INDEX).is_in(np.flatnonzero(mask)))

    def _training_histories(self) -> Histories:
        """Return the interactions that training sees, those of users without a target left out."""
        histories = self.histories
        if self.modes.is_limited:
            histories = keep_domains(histories, self.modes.is_kept)
        if self.modes.is_target[1:].all():
            return histories
        return skip_users_without(histories, self.modes.is_target)

    def _rows(
        self, targets: pl.DataFrame, is_shown: Mask, visible: Histories | None = None
    ) -> DataLoader[SequenceBatch]:
        rows = self._dataset(targets, is_shown, visible)
        return loader_in_order(rows, self.eval_batch_size, self.trainer)

    def _dataset(
        self, targets: pl.DataFrame, is_shown: Mask, visible: Histories | None = None
    ) -> Targets:
        shown = None if is_shown[1:, 1:].all() else is_shown
        return Targets(self.histories, targets, self.max_seq_len, shown, visible)
