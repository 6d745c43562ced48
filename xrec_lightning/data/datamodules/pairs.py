"""Co-occurring item texts as batches for contrastive fine-tuning."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from xrec_lightning.batches import Catalog, PairBatch
from xrec_lightning.data.catalog import read_catalog
from xrec_lightning.data.datamodules.loading import as_it_is, loader_in_order
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.cooccurrence import (
    TextPairs,
    WeightedSampler,
    is_held_out,
    read_pairs,
)
from xrec_lightning.data.text.tokenize import TokenizedTexts, load_tokenizer, pad_id, tokenize


class Pairs(Dataset[PairBatch]):
    """Pairs of tokenized texts, a batch at a time."""

    def __init__(self, pairs: TextPairs, tokens: TokenizedTexts, padding: int) -> None:
        self.pairs = pairs
        self.tokens = tokens
        self.padding = padding

    def __len__(self) -> int:
        return len(self.pairs.left)

    def __getitems__(self, rows: Sequence[int]) -> PairBatch:
        """Return the batch of ``rows``."""
        left, right = self.pairs.left[rows], self.pairs.right[rows]
        return PairBatch(
            left=self.tokens.batch(left, self.padding),
            right=self.tokens.batch(right, self.padding),
            left_ids=torch.from_numpy(self.pairs.item_ids[left].astype(np.int64)),
            right_ids=torch.from_numpy(self.pairs.item_ids[right].astype(np.int64)),
        )


class PairDataModule(LightningDataModule):
    """Serve pairs of items that were chosen close to each other in the training part.

    Args:
        dataset: A prepared folder, or the data YAML that `xrec prepare` was given.
        model: The language model whose tokenizer is used.
        batch_size: Pairs of a batch; each is a negative of the others.
        pairs_per_epoch: Training pairs drawn for an epoch.
        eval_pairs: Held-out pairs in validation, and as many others in test.
        held_out: Share of the distinct pairs that is never trained on.
        smoothing: Pairs are drawn in proportion to their strength to this power.
        min_count: Rarer pairs are left out.
        min_lift: So are pairs that occur less than this many times as often as by chance.
        max_tokens: Longest text, in tokens.
        seed: Seed of held-out pairs and draws.
    """

    def __init__(
        self,
        dataset: Path,
        model: str,
        batch_size: int = 128,
        pairs_per_epoch: int = 4096,
        eval_pairs: int = 256,
        held_out: float = 0.05,
        smoothing: float = 0.5,
        min_count: int = 2,
        min_lift: float = 3.0,
        max_tokens: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.prepared = Prepared.open(locate(dataset))
        self.model = model
        self.batch_size = batch_size
        self.pairs_per_epoch = pairs_per_epoch
        self.eval_pairs = eval_pairs
        self.held_out = held_out
        self.smoothing = smoothing
        self.min_count = min_count
        self.min_lift = min_lift
        self.max_tokens = max_tokens
        self.seed = seed

    @cached_property
    def catalog(self) -> Catalog:
        """What the data knows and the module needs."""
        return read_catalog(self.prepared)

    @override
    def setup(self, stage: str) -> None:
        pairs = read_pairs(self.prepared, self.min_count, self.min_lift)
        held_out = is_held_out(pairs, self.held_out, self.seed)
        tokenizer = load_tokenizer(self.model)
        tokens = tokenize(pairs.texts, tokenizer, self.max_tokens)
        self.train_pairs = Pairs(pairs.select(~held_out), tokens, pad_id(tokenizer))
        val, test = self._evaluated(held_out)
        self.val_pairs = Pairs(pairs.select(val), tokens, pad_id(tokenizer))
        self.test_pairs = Pairs(pairs.select(test), tokens, pad_id(tokenizer))

    def _evaluated(self, held_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the masks of the pairs of validation and of test."""
        rows = np.random.default_rng(self.seed).permutation(np.flatnonzero(held_out))
        size = min(self.eval_pairs, len(rows) // 2)
        val, test = np.zeros_like(held_out), np.zeros_like(held_out)
        val[rows[:size]] = True
        test[rows[size : 2 * size]] = True
        return val, test

    @override
    def train_dataloader(self) -> DataLoader[PairBatch]:
        weights = self.train_pairs.pairs.strengths**self.smoothing
        sampler = WeightedSampler(weights, self.pairs_per_epoch, self.seed)
        return DataLoader(
            self.train_pairs,
            batch_size=self.batch_size,
            sampler=sampler,
            drop_last=True,
            collate_fn=as_it_is,
        )

    @override
    def val_dataloader(self) -> DataLoader[PairBatch]:
        return loader_in_order(self.val_pairs, self.batch_size, self.trainer)

    @override
    def test_dataloader(self) -> DataLoader[PairBatch]:
        return loader_in_order(self.test_pairs, self.batch_size, self.trainer)
