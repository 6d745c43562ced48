"""The items nearest in meaning, found once by exact search."""

from typing import NamedTuple

import torch
from torch import Tensor

from xrec_lightning.batches import Catalog

CHUNK = 1024
"""Items that are compared with all others at once."""


class Neighbors(NamedTuple):
    """The nearest items of each item, by domain.

    Shapes: M pairs of domain and item, K neighbors.
    """

    keys: Tensor
    """Sorted pairs as numbers, int64, shape ``(M,)``."""
    item_ids: Tensor
    """Nearest first, 0 where there are no more, int64, shape ``(M, K)``."""
    num_items: int
    """Items of the catalog."""

    def of(self, domain_ids: Tensor, item_ids: Tensor) -> Tensor:
        """Return the neighbors of each item within its domain, 0 where none is known.

        Args:
            domain_ids: Shape ``(...)``; 0 for all domains.
            item_ids: Shape ``(...)``.

        Returns:
            Shape ``(..., K)``.
        """
        if len(self.keys) == 0:
            return item_ids.new_zeros(*item_ids.shape, self.item_ids.size(1))
        wanted = domain_ids * (self.num_items + 1) + item_ids
        rows = torch.searchsorted(self.keys, wanted).clamp_max(len(self.keys) - 1)
        return self.item_ids[rows] * (self.keys[rows] == wanted)[..., None]


def nearest_items(catalog: Catalog, count: int, by_domain: bool = True) -> Neighbors:
    """Return the ``count`` nearest items, by cosine of knowledge, of each item with text.

    Only items with a training event are neighbors or have some.

    Args:
        catalog: What the data knows, with knowledge vectors.
        count: Neighbors of an item.
        by_domain: Search within each domain; otherwise in all, under domain 0.

    Raises:
        ValueError: If the catalog holds no knowledge.
    """
    if catalog.vectors is None:
        raise ValueError(
            "nearest items need knowledge vectors: set data.init_args.knowledge to the folder "
            "that `xrec embed` wrote"
        )
    lengths = catalog.vectors.norm(dim=1)
    is_known = (lengths > 0) & (catalog.train_counts > 0)
    vectors = catalog.vectors / lengths[:, None].clamp_min(1e-12)
    pools = list(enumerate(catalog.candidates, start=1))
    if not by_domain:
        pools = [(0, torch.arange(catalog.num_items + 1))]
    keys, rows = [], []
    for domain, item_ids in pools:
        pool = item_ids[is_known[item_ids]]
        keys.append(domain * (catalog.num_items + 1) + pool)
        rows.append(_search(vectors[pool], pool, count))
    return Neighbors(torch.cat(keys), torch.cat(rows), catalog.num_items)


def _search(vectors: Tensor, pool: Tensor, count: int) -> Tensor:
    """Return the nearest others of each row, shape ``(rows, count)``, 0 where there are no more."""
    nearest = torch.zeros(len(pool), count, dtype=torch.int64)
    found = min(count, len(pool) - 1)
    for start in range(0, len(pool), CHUNK):
        similarities = vectors[start : start + CHUNK] @ vectors.T
        own = torch.arange(len(similarities))
        similarities[own, start + own] = float("-inf")
        nearest[start : start + CHUNK, :found] = pool[similarities.topk(found, dim=1).indices]
    return nearest
