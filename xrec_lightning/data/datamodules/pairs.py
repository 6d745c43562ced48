"""Co-occurring item texts as batches for contrastive fine-tuning."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from xrec_lightning.batches import Catalog, PairBatch
from xrec_lightning.data.catalog import read_catalog
from xrec_lightning.data.datamodules.loading import as_it_is, loader_in_order
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.cooccurrence import TextPairs, is_held_out, read_pairs
from xrec_lightning.data.text.domain_batches import DomainBatches, log_shares
from xrec_lightning.data.text.tokenize import TokenizedTexts, load_tokenizer, pad_id, tokenize


class Pairs(Dataset[PairBatch]):
    """Pairs of tokenized texts, a batch at a time.

    Args:
        pairs: P pairs.
        tokens: Tokens of their texts.
        padding: Token that pads.
        weights: Pairs are drawn in proportion to them, shape ``(P,)``.
        group_ids: And only with pairs of the same group, shape ``(P,)``.
    """

    def __init__(
        self,
        pairs: TextPairs,
        tokens: TokenizedTexts,
        padding: int,
        weights: NDArray[np.floating],
        group_ids: NDArray[np.integer],
    ) -> None:
        self.pairs = pairs
        self.tokens = tokens
        self.padding = padding
        self.weights = weights
        self.group_ids = group_ids
        self.left_log_q = log_shares(group_ids, pairs.left, weights)
        self.right_log_q = log_shares(group_ids, pairs.right, weights)

    def __len__(self) -> int:
        return len(self.pairs.left)

    def __getitems__(self, rows: Sequence[int] | NDArray[np.integer]) -> PairBatch:
        """Return the batch of ``rows``."""
        left, right = self.pairs.left[rows], self.pairs.right[rows]
        return PairBatch(
            left=self.tokens.batch(left, self.padding),
            right=self.tokens.batch(right, self.padding),
            left_ids=torch.from_numpy(self.pairs.item_ids[left].astype(np.int64)),
            right_ids=torch.from_numpy(self.pairs.item_ids[right].astype(np.int64)),
            left_log_q=torch.from_numpy(self.left_log_q[rows]),
            right_log_q=torch.from_numpy(self.right_log_q[rows]),
        )

    @override
    def __getitem__(self, rows: NDArray[np.integer]) -> PairBatch:
        """Return the batch of ``rows``, as training draws them."""
        return self.__getitems__(rows)


class PairDataModule(LightningDataModule):
    """Serve pairs of items that were chosen close to each other in the training part.

    Args:
        dataset: A prepared folder, or the data YAML that `xrec prepare` was given.
        model: The language model whose tokenizer is used.
        batch_size: Pairs of a training batch, over all processes; each is a negative of the others.
            So many pairs are evaluated at once by each process.
        pairs_per_epoch: Training pairs drawn for an epoch.
        eval_pairs: Held-out pairs in validation, and as many others in test.
        held_out: Share of the distinct pairs that is never trained on.
        smoothing: Pairs are drawn in proportion to their strength to this power.
        min_count: Rarer pairs are left out.
        min_lift: So are pairs that occur less than this many times as often as by chance.
        max_tokens: Longest text, in tokens.
        one_domain_batches: Whether the pairs of a training batch are all of the same two domains,
            so that no item of another domain is a negative.
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
        one_domain_batches: bool = False,
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
        self.one_domain_batches = one_domain_batches
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
        self.train_pairs = self._pairs(pairs.select(~held_out), tokens, pad_id(tokenizer))
        val, test = self._evaluated(held_out)
        self.val_pairs = self._pairs(pairs.select(val), tokens, pad_id(tokenizer))
        self.test_pairs = self._pairs(pairs.select(test), tokens, pad_id(tokenizer))

    def _pairs(self, pairs: TextPairs, tokens: TokenizedTexts, padding: int) -> Pairs:
        weights = pairs.strengths**self.smoothing
        groups = pairs.domain_pairs if self.one_domain_batches else np.zeros_like(pairs.left)
        return Pairs(pairs, tokens, padding, weights, groups)

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
        trainer = self.trainer
        world_size, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
        sampler = DomainBatches(
            self.train_pairs.group_ids,
            self.train_pairs.weights,
            self.batch_size,
            self.pairs_per_epoch,
            self.seed,
            num_replicas=world_size,
            rank=rank,
        )
        # The sampler yields whole batches, which the dataset cuts from whole arrays.
        return DataLoader(self.train_pairs, batch_size=None, sampler=sampler, collate_fn=as_it_is)

    @override
    def val_dataloader(self) -> DataLoader[PairBatch]:
        return loader_in_order(self.val_pairs, self.batch_size, self.trainer)

    @override
    def test_dataloader(self) -> DataLoader[PairBatch]:
        return loader_in_order(self.test_pairs, self.batch_size, self.trainer)
