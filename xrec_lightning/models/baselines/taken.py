"""Which user took which item, counted once: what neighborhood and linear models are made of."""

import numpy as np
from scipy.sparse import csr_array
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.base import SparseCounts


class TakenItems(SparseCounts):
    """The binary user-item matrix of training, over all domains. Shapes: U users, N items."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(max(catalog.num_users, catalog.num_items) + 1)
        self.shape = (catalog.num_users + 1, catalog.num_items + 1)

    def observe(self, batch: SequenceBatch) -> None:
        """Take the interactions of ``batch``."""
        row, column = (batch.item_ids > 0).nonzero(as_tuple=True)
        self.add(batch.user_ids[row], batch.item_ids[row, column])

    @override
    def finish(self) -> None:
        super().finish()
        self.values.clamp_(max=1.0)

    @override
    def matrix(self) -> csr_array:
        """Return 1 where a user took an item, float32, shape ``(U + 1, N + 1)``."""
        return super().matrix()[: self.shape[0], : self.shape[1]]


def history_matrix(item_ids: Tensor, num_items: int) -> csr_array:
    """Return how often each history holds each item, float32, shape ``(B, N + 1)``.

    Args:
        item_ids: Histories, padded with 0, shape ``(B, L)``.
        num_items: Number of items N.
    """
    row, column = (item_ids > 0).nonzero(as_tuple=True)
    places = (row.cpu().numpy(), item_ids[row, column].cpu().numpy())
    ones = np.ones(len(row), dtype=np.float32)
    return csr_array((ones, places), shape=(len(item_ids), num_items + 1))
