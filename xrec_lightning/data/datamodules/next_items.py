"""Histories and the items that follow them, as texts, for contrastive fine-tuning."""

from functools import cached_property
from pathlib import Path

import numpy as np
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from typing_extensions import override

from xrec_lightning.batches import Catalog, ItemTextBatch, NextItemBatch, WeightedTargets
from xrec_lightning.data.catalog import read_catalog
from xrec_lightning.data.datamodules.loading import as_it_is, loader_in_order
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.distinct import TokenizedItems, read_texts
from xrec_lightning.data.text.domain_batches import DomainBatches
from xrec_lightning.data.text.next_items import HistoryMean, NextItems, read_next_items
from xrec_lightning.data.text.retrieval import RetrievalBatches, Sampling
from xrec_lightning.data.text.tokenize import load_tokenizer, pad_id, tokenize
from xrec_lightning.schema import TEST, VAL


class NextItemDataModule(LightningDataModule):
    """Serve training events with what came strictly earlier, and the targets of the evaluation.

    The vector of a history is the weighted mean of its newest items, as in text-kNN.

    Args:
        dataset: A prepared folder, or the data YAML that `xrec prepare` was given.
        model: The language model whose tokenizer is used.
        batch_size: Events of a training batch, over all processes; each target is a negative of
            the other histories.
        events_per_epoch: Training events drawn for an epoch; all by default.
        history_items: Newest items that make up a history's vector.
        decay: Weight of an item relative to the next newer one.
        seen_items: Newest items of a history that are no negatives of it.
        run_length: Events of a user that are drawn together, as they follow each other: they share
            most texts of their histories, so that a step learns from more targets.
        one_domain_batches: Whether the targets of a batch are all of one domain.
        domain_temperature: Above 1, small domains are trained on more often than they occur: in
            proportion to their events to the power of one over this.
        max_tokens: Longest text, in tokens.
        eval_targets: Targets drawn for validation; all where this is `null`. A test takes all.
        eval_candidates: Items of each domain that validation ranks beside the targets, which its
            figures then say in their names; all where this is `null`. A test takes all.
        eval_batch_size: Targets of an evaluation batch, of each process.
        eval_batch_tokens: Padded tokens of an evaluation batch of texts, of each process.
        seed: Seed of all draws.

    Raises:
        InputError: If there is no history, or a weight that is none.
    """

    def __init__(
        self,
        dataset: Path,
        model: str,
        batch_size: int = 128,
        events_per_epoch: int | None = None,
        history_items: int = 3,
        decay: float = 0.7,
        seen_items: int = 50,
        run_length: int = 1,
        one_domain_batches: bool = True,
        domain_temperature: float = 1.0,
        max_tokens: int = 64,
        eval_targets: int | None = 1000,
        eval_candidates: int | None = None,
        eval_batch_size: int = 256,
        eval_batch_tokens: int = 4096,
        seed: int = 0,
    ) -> None:
        super().__init__()
        _refuse_bad_numbers(history_items, decay, domain_temperature)
        self.prepared = Prepared.open(locate(dataset))
        self.model = model
        self.batch_size = batch_size
        self.events_per_epoch = events_per_epoch
        self.mean = HistoryMean(history_items, decay)
        self.seen_items = seen_items
        self.run_length = run_length
        self.one_domain_batches = one_domain_batches
        self.domain_temperature = domain_temperature
        self.max_tokens = max_tokens
        self.sampling = Sampling(eval_targets, eval_candidates, seed)
        self.eval_batch_size = eval_batch_size
        self.eval_batch_tokens = eval_batch_tokens
        self.seed = seed

    @cached_property
    def catalog(self) -> Catalog:
        """What the data knows and the module needs."""
        return read_catalog(self.prepared)

    @cached_property
    def source(self) -> TokenizedItems:
        """The distinct texts of the items, tokenized."""
        texts = read_texts(self.prepared)
        tokenizer = load_tokenizer(self.model)
        return TokenizedItems(
            texts, tokenize(texts.texts, tokenizer, self.max_tokens), pad_id(tokenizer)
        )

    @cached_property
    def train_set(self) -> NextItems:
        """The training events, a batch at a time."""
        events = read_next_items(self.prepared, self.source.texts, self.mean)
        domain_ids = events.domain_ids
        return NextItems(
            events,
            np.asarray(self.prepared.item_ids),
            self.source,
            self.mean,
            self.seen_items,
            weights=_domain_weights(domain_ids, self.domain_temperature),
            group_ids=domain_ids if self.one_domain_batches else np.zeros_like(domain_ids),
        )

    @override
    def setup(self, stage: str) -> None:
        if stage == "fit":
            len(self.train_set)  # say what is wrong with the data before anything is trained

    @override
    def train_dataloader(self) -> DataLoader[NextItemBatch]:
        events, (world_size, rank) = self.train_set, self._process()
        sampler = DomainBatches(
            events.group_ids,
            events.weights,
            self.batch_size,
            self.events_per_epoch or len(events),
            self.seed,
            num_replicas=world_size,
            rank=rank,
            run_ids=events.events.user_ids,
            run_length=self.run_length,
        )
        # The sampler yields whole batches, which the dataset cuts from whole arrays.
        return DataLoader(events, batch_size=None, sampler=sampler, collate_fn=as_it_is)

    @override
    def val_dataloader(self) -> DataLoader[ItemTextBatch | WeightedTargets]:
        return self._retrieval(VAL, self.sampling)

    @override
    def test_dataloader(self) -> DataLoader[ItemTextBatch | WeightedTargets]:
        return self._retrieval(TEST, Sampling())

    def _retrieval(
        self, split: str, sampling: Sampling
    ) -> DataLoader[ItemTextBatch | WeightedTargets]:
        batches = RetrievalBatches(
            self.prepared,
            self.catalog,
            self.source,
            self.prepared.targets(split),
            self.mean,
            sampling,
            self.eval_batch_tokens,
            self.eval_batch_size,
            num_replicas=self._process()[0],
        )
        return loader_in_order(batches, 1, self.trainer)

    def _process(self) -> tuple[int, int]:
        """Return the number of processes and the number of this one."""
        trainer = self.trainer
        return (trainer.world_size, trainer.global_rank) if trainer else (1, 0)


def _domain_weights(domain_ids: NDArray[np.integer], temperature: float) -> NDArray[np.floating]:
    """Return weights of events that sum, in a domain of n, to ``n ** (1 / temperature)``."""
    counts = np.bincount(domain_ids).astype(np.float64)
    return counts[domain_ids] ** (1 / temperature - 1)


def _refuse_bad_numbers(history_items: int, decay: float, domain_temperature: float) -> None:
    if history_items < 1:
        raise InputError(
            f"data.init_args.history_items is {history_items}: set it to 1 or more newest items"
        )
    if not 0 < decay <= 1:
        raise InputError(
            f"data.init_args.decay is {decay}: set it above 0 and at most 1, the plain mean"
        )
    if domain_temperature <= 0:
        raise InputError(
            f"data.init_args.domain_temperature is {domain_temperature}: set it above 0; 1 leaves "
            "the domains as they are"
        )
