"""The `popularity` channel: what is popular, of late and at all, whoever asks."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.histories import TrainingHistories
from xrec_lightning.models.channels.base import Channel, ChannelConfig, Phrase, normalize

SECONDS_A_DAY = 86400


@dataclass(frozen=True, kw_only=True)
class PopularityChannelConfig(ChannelConfig):
    """Settings of a `PopularityChannel`."""

    half_lives: list[float] = field(default_factory=lambda: [30.0, 90.0, 365.0, math.inf])
    """Days after which a training event counts half, one number a column of the keys; `.inf`
    counts all times alike."""
    is_trainable: bool = False
    """Whether each domain learns how much of each half-life it takes; equal parts without."""

    def __post_init__(self) -> None:
        if not self.half_lives or not all(days > 0 for days in self.half_lives):
            raise ValueError(
                f"PopularityChannelConfig.half_lives is {self.half_lives}: give at least one "
                "number of days above 0; .inf counts all times alike"
            )

    @override
    def build(self, catalog: Catalog) -> "PopularityChannel":
        return PopularityChannel(self, catalog)


torch.serialization.add_safe_globals([PopularityChannelConfig])


class PopularityChannel(Channel):
    """Score an item by its training events, the recent ones more, the same for everyone.

    The key of an item holds, for each half-life ``h``, ``log(1 + sum 2^(-age / h))``, as a share
    of the largest one; the query is a fixed mixture of them, and so a score is between 0 and 1.
    Items without training event have 0. No interaction of a history contributes.

    Ages are measured at the last training event of the whole log, not at each target's time: no
    target is counted, but under leave-one-out a target may be older than what is counted (as with
    `RecentPopularity`). Each training target was counted itself: what is trained on those takes
    popularity for more than it is worth, most so for rare items, hence `is_trainable` is off.
    """

    name = "popularity"
    phrase = Phrase("popular, besides", "popular lately")
    popularity: Tensor
    mixture: Tensor

    def __init__(self, config: PopularityChannelConfig, catalog: Catalog) -> None:
        super().__init__()
        self.trains = config.is_trainable
        if catalog.histories is None:
            raise ValueError("the popularity channel needs training events, and the data have none")
        counts = decayed_counts(catalog.histories(), catalog.num_items, config.half_lives)
        logs = counts.log1p()
        shares = logs / logs.amax(dim=0).clamp_min(1e-12)
        keys = (shares / len(config.half_lives) ** 0.5).float()
        self.register_buffer("popularity", keys, persistent=False)
        self.hold("mixture", torch.ones(len(catalog.domains) + 1, len(config.half_lives)))

    @override
    def queries(self, batch: SequenceBatch) -> Tensor:
        return normalize(self.mixture)[batch.target_domain_ids]

    @override
    def keys(self) -> Tensor:
        return self.popularity

    @override
    def contributions(self, batch: SequenceBatch, item_ids: Tensor) -> Tensor:
        return self.popularity.new_zeros(*item_ids.shape, batch.item_ids.size(1))


def decayed_counts(histories: TrainingHistories, num_items: int, half_lives: list[float]) -> Tensor:
    """Return the events of each item, each halved with every half-life of its age.

    Args:
        histories: The training events; the last of them has age 0.
        num_items: Number of items, N.
        half_lives: Days, K of them.

    Returns:
        Float64, shape ``(N + 1, K)``.
    """
    latest = histories.times.max() if len(histories.times) > 0 else 0
    days = (latest - histories.times).double() / SECONDS_A_DAY
    columns = [
        torch.bincount(histories.item_ids, torch.exp2(-days / half_life), num_items + 1)
        for half_life in half_lives
    ]
    return torch.stack(columns, dim=1)
