"""Negatives of the sampled softmax, drawn from the target's domain."""

import torch
from torch import Tensor

from xrec_lightning.batches import Catalog


class DomainNegatives:
    """Draw shared negatives of one domain, uniformly over its items with a training event.

    Items without one are left out: pushing them down would teach that nobody wants them.
    """

    def __init__(self, catalog: Catalog, num_negatives: int) -> None:
        self.num_negatives = num_negatives
        self.pools = [ids[catalog.train_counts[ids] > 0] for ids in catalog.candidates]

    def sample(self, domain: int, generator: torch.Generator | None = None) -> Tensor:
        """Return distinct item indices of ``domain`` (from 1), at most ``num_negatives``."""
        pool = self.pools[domain - 1]
        if len(pool) <= self.num_negatives:
            return pool
        order = torch.randperm(len(pool), generator=generator)
        return pool[order[: self.num_negatives]]
