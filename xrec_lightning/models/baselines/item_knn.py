"""Item-based collaborative filtering with cosine similarity (Sarwar et al., WWW 2001)."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.base import Baseline, BaselineConfig
from xrec_lightning.models.baselines.taken import TakenItems, history_matrix


@dataclass(frozen=True, kw_only=True)
class ItemKNNConfig(BaselineConfig):
    """Settings of an `ItemKNN`."""

    shrinkage: float = 0.0
    """Added to the denominator of the cosine: distrusts items with few users."""

    @override
    def build(self, catalog: Catalog) -> "ItemKNN":
        return ItemKNN(self, catalog)


torch.serialization.add_safe_globals([ItemKNNConfig])


class ItemKNN(Baseline):
    """Score an item by the sum of its cosine similarities to the items of the history.

    Similarities are those of binary columns of the training user-item matrix, over all domains.
    Popularity breaks ties.
    """

    def __init__(self, config: ItemKNNConfig, catalog: Catalog) -> None:
        super().__init__(catalog)
        self.shrinkage = config.shrinkage
        self.pairs = TakenItems(catalog)
        self.similarity: csr_array | None = None

    @override
    def observe(self, batch: SequenceBatch) -> None:
        self.pairs.observe(batch)

    @override
    def finish(self) -> None:
        self.pairs.finish()
        self.similarity = None

    @override
    def scores(self, batch: SequenceBatch) -> Tensor:
        if self.similarity is None:
            self.similarity = self._similarity()
        history = history_matrix(batch.item_ids, self.num_items)
        scores = torch.from_numpy((history @ self.similarity).toarray())
        return scores.to(batch.item_ids.device) + self.popularity_prior()

    def _similarity(self) -> csr_array:
        """Return cosine similarities with a zero diagonal, shape ``(N + 1, N + 1)``."""
        taken = self.pairs.matrix()
        shared = (taken.T @ taken).tocoo()
        counts = taken.sum(axis=0)
        left, right = shared.coords
        norms = np.sqrt(counts[left] * counts[right]) + self.shrinkage
        cosine = np.where(left == right, 0.0, shared.data / norms).astype(np.float32)
        return csr_array((cosine, (left, right)), shape=shared.shape)
