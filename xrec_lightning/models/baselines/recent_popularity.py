"""The items that were popular in the last days of training.

Popularity near the time of a target says far more than that of all times (Ji et al., "A re-visit of
the popularity baseline in recommender systems", SIGIR 2020, arXiv:2005.13829).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.base import Baseline, BaselineConfig
from xrec_lightning.models.channels.popularity import SECONDS_A_DAY


@dataclass(frozen=True, kw_only=True)
class RecentPopularityConfig(BaselineConfig):
    """Settings of a `RecentPopularity`."""

    days: float = 90.0
    """Days before the end of training that count."""

    def __post_init__(self) -> None:
        if not 0 < self.days < math.inf:
            raise ValueError(
                f"RecentPopularityConfig.days is {self.days}: set a number above 0; for the "
                "popularity of all times take PopularityConfig"
            )

    @override
    def build(self, catalog: Catalog) -> "RecentPopularity":
        return RecentPopularity(self, catalog)


torch.serialization.add_safe_globals([RecentPopularityConfig])


class RecentPopularity(Baseline):
    """Score an item by its training interactions of the last days, the same for everyone.

    The days end at the last training interaction of the whole log, not at each target's time: no
    target is counted, but under leave-one-out a target may be older than what is counted. Only
    interactions strictly later than so many days before that end count. Overall popularity breaks
    ties.
    """

    recent_counts: Tensor

    def __init__(self, config: RecentPopularityConfig, catalog: Catalog) -> None:
        super().__init__(catalog)
        self.seconds = config.days * SECONDS_A_DAY
        self.register_buffer("recent_counts", torch.zeros(catalog.num_items + 1))
        self.item_ids = torch.zeros(0, dtype=torch.int64)
        self.times = torch.zeros(0, dtype=torch.int64)

    @override
    def observe(self, batch: SequenceBatch) -> None:
        is_real = batch.item_ids > 0
        item_ids = torch.cat([self.item_ids, batch.item_ids[is_real].cpu()])
        times = torch.cat([self.times, batch.times[is_real].cpu()])
        is_recent = self._are_recent(times)
        self.item_ids, self.times = item_ids[is_recent], times[is_recent]

    @override
    def finish(self) -> None:
        is_recent = self._are_recent(self.times)
        counts = torch.bincount(self.item_ids[is_recent], minlength=self.num_items + 1)
        self.recent_counts.copy_(counts)

    @override
    def scores(self, batch: SequenceBatch) -> Tensor:
        scores = self.recent_counts + self.popularity_prior()
        return scores.expand(len(batch.item_ids), -1).clone()

    def _are_recent(self, times: Tensor) -> Tensor:
        """Return which ``times`` are in the last days that end with the latest of them."""
        if len(times) == 0:
            return torch.zeros(0, dtype=torch.bool)
        # Ages are exact; a border between seconds needs no exact time of its own.
        return (times.max() - times) < self.seconds
