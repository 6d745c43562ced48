"""Evaluation of text vectors as batches: first the items that are ranked, then the targets."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from xrec_lightning.batches import Catalog, ItemTextBatch, WeightedTargets
from xrec_lightning.data.behavior.sequences import Targets, open_histories
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.distinct import TokenizedItems
from xrec_lightning.data.text.next_items import HistoryMean
from xrec_lightning.data.text.tokenize import length_batches
from xrec_lightning.schema import DOMAIN_INDEX, ITEM_INDEX

Ints = NDArray[np.integer]


class Sampling(NamedTuple):
    """What an evaluation that need not be complete makes do with."""

    targets: int | None = None
    """Targets drawn; all by default."""
    candidates: int | None = None
    """Items of each domain drawn beside the targets; all by default."""
    seed: int = 0
    """Seed of both draws."""


class RetrievalBatches(Dataset[ItemTextBatch | WeightedTargets]):
    """The batches of an evaluation, those of items first; each distinct text comes once.

    Args:
        prepared: A prepared data set.
        catalog: Its catalog.
        source: The texts of its items.
        targets: Rows of a target file.
        mean: How histories become vectors.
        sampling: Which targets and candidates are drawn.
        batch_tokens: Padded tokens of a batch of texts.
        batch_size: Targets of a batch.
        num_replicas: Number of processes; each needs a batch of items.
    """

    def __init__(
        self,
        prepared: Prepared,
        catalog: Catalog,
        source: TokenizedItems,
        targets: pl.DataFrame,
        mean: HistoryMean,
        sampling: Sampling,
        batch_tokens: int,
        batch_size: int,
        num_replicas: int = 1,
    ) -> None:
        self.source = source
        self.mean = mean
        self.sample_size = sampling.candidates or 0
        chosen = _draw(targets, sampling)
        self.targets = Targets(open_histories(prepared), chosen, mean.items)
        self.target_rows = np.split(
            np.arange(len(chosen)), range(batch_size, len(chosen), batch_size)
        )
        self.is_candidate = _candidates(catalog, chosen, sampling)
        is_used = self.is_candidate.copy()
        is_used[self._history_items()] = True
        is_used[0] = False  # padding
        self.used = np.flatnonzero(is_used)
        rows = np.unique(source.texts.row_of[self.used])
        rows = rows[rows >= 0]
        batches = length_batches(source.tokens.lengths[rows], batch_tokens)
        if len(batches) < num_replicas:
            batches = np.array_split(np.concatenate(batches), num_replicas)
        self.text_rows = [rows[batch] for batch in batches]

    def __len__(self) -> int:
        return len(self.text_rows) + len(self.target_rows)

    def __getitems__(self, numbers: Sequence[int]) -> ItemTextBatch | WeightedTargets:
        """Return a batch by its number, the only one of ``numbers``."""
        (number,) = numbers
        if number < len(self.text_rows):
            return self._items(number)
        return self._targets(self.target_rows[number - len(self.text_rows)])

    def _items(self, number: int) -> ItemTextBatch:
        texts, tokens, padding = self.source
        rows = self.text_rows[number]
        row_of = texts.row_of[self.used]
        is_here = np.isin(row_of, rows)
        if number == 0:  # items without text need no encoding but are ranked
            is_here |= row_of < 0
        item_ids = self.used[is_here]
        return ItemTextBatch(
            texts=tokens.batch(rows, padding),
            text_ids=torch.from_numpy(texts.item_ids[rows].astype(np.int64)),
            item_ids=torch.from_numpy(item_ids),
            leader_ids=torch.from_numpy(texts.leaders[item_ids].astype(np.int64)),
            is_candidate=torch.from_numpy(self.is_candidate[item_ids]),
            sample_size=self.sample_size,
        )

    def _targets(self, rows: Ints) -> WeightedTargets:
        sequences = self.targets.__getitems__(rows.tolist())
        ages = sequences.state_positions - torch.arange(sequences.item_ids.size(1))  # (B, L)
        weights = torch.where(ages >= 0, self.mean.decay ** ages.clamp_min(0), 0.0)
        return WeightedTargets(sequences, weights)

    def _history_items(self) -> Ints:
        batches = (self.targets.__getitems__(rows.tolist()) for rows in self.target_rows)
        return np.unique(np.concatenate([batch.item_ids.numpy().ravel() for batch in batches]))


def _draw(targets: pl.DataFrame, sampling: Sampling) -> pl.DataFrame:
    """Return the drawn targets, in their order."""
    if sampling.targets is None or sampling.targets >= len(targets):
        return targets
    generator = np.random.default_rng(sampling.seed)
    return targets[np.sort(generator.permutation(len(targets))[: sampling.targets])]


def _candidates(catalog: Catalog, targets: pl.DataFrame, sampling: Sampling) -> NDArray[np.bool_]:
    """Return which items are ranked, shape ``(N + 1,)``: those of domains with targets."""
    is_candidate = np.zeros(catalog.num_items + 1, dtype=bool)
    generator = np.random.default_rng((sampling.seed, 1))
    for domain, item_ids in enumerate(catalog.candidates, start=1):
        if (targets[DOMAIN_INDEX] == domain).any():
            pool = item_ids.numpy()
            count = len(pool) if sampling.candidates is None else sampling.candidates
            is_candidate[generator.permutation(pool)[:count]] = True
    is_candidate[targets[ITEM_INDEX].to_numpy()] = True
    return is_candidate
