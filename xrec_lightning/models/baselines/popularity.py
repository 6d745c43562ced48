"""The most popular items of the domain."""

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.base import Baseline, BaselineConfig


@dataclass(frozen=True, kw_only=True)
class PopularityConfig(BaselineConfig):
    """Popularity has no settings."""

    @override
    def build(self, catalog: Catalog) -> "Popularity":
        return Popularity(catalog)


torch.serialization.add_safe_globals([PopularityConfig])


class Popularity(Baseline):
    """Score an item by its number of training interactions, the same for everyone."""

    @override
    def scores(self, batch: SequenceBatch) -> Tensor:
        return self.train_counts.expand(len(batch.item_ids), -1).clone()
