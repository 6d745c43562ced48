"""Negatives of the sampled softmax, drawn from the target's domain.

Items without a training event are left out: pushing them down would teach that nobody wants them.
A domain with few items is taken in full by every kind but the in-batch one.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.knowledge.neighbors import nearest_items


class Negatives(NamedTuple):
    """Negatives that the targets of a batch share in one domain. S negatives."""

    item_ids: Tensor
    """Items, some perhaps several times, shape ``(S,)``."""
    log_expected: Tensor | None = None
    """Logarithm of how often each is expected in the sample, shape ``(S,)``; ``None``: no
    correction (`xrec_lightning.models.losses.sampled_softmax_loss`)."""


class NegativeSampler(ABC):
    """Draw negatives of one domain.

    Args:
        catalog: What the data knows.
        num_negatives: Negatives of a sample, at most.
    """

    def __init__(self, catalog: Catalog, num_negatives: int) -> None:
        self.num_negatives = num_negatives
        self.num_items = catalog.num_items
        self.pools = [ids[catalog.train_counts[ids] > 0] for ids in catalog.candidates]

    @abstractmethod
    def sample(
        self, domain: int, target_ids: Tensor, generator: torch.Generator | None = None
    ) -> Negatives:
        """Return negatives for the targets of a batch in one domain, on the CPU.

        Args:
            domain: Index of the domain, from 1.
            target_ids: All targets of the batch in it, shape ``(T,)``.
            generator: Source of randomness; torch's own by default.
        """

    def uniform(self, domain: int, count: int, generator: torch.Generator | None) -> Tensor:
        """Return ``count`` distinct items of ``domain``, all when there are no more."""
        pool = self.pools[domain - 1]
        if len(pool) <= count:
            return pool
        order = torch.randperm(len(pool), generator=generator)
        return pool[order[:count]]

    def is_whole(self, domain: int) -> bool:
        """Return whether a sample holds all items of ``domain``."""
        return len(self.pools[domain - 1]) <= self.num_negatives

    def shares(self, catalog: Catalog, power: float) -> list[Tensor]:
        """Return each item's share of its domain's training events to a power, by domain.

        Shapes ``(N + 1,)``. An item in several domains counts with all its events in each.
        """
        powers = catalog.train_counts.double() ** power
        rows = []
        for pool in self.pools:
            row = torch.zeros(self.num_items + 1, dtype=torch.float64)
            row[pool] = powers[pool] / powers[pool].sum()
            rows.append(row)
        return rows


@dataclass(frozen=True, kw_only=True)
class NegativesConfig(ABC):
    """How negatives are drawn."""

    @abstractmethod
    def build(self, catalog: Catalog, num_negatives: int) -> NegativeSampler:
        """Return a sampler of ``num_negatives`` items of ``catalog``."""


@dataclass(frozen=True, kw_only=True)
class UniformNegativesConfig(NegativesConfig):
    """Every item with a training event alike, each at most once."""

    @override
    def build(self, catalog: Catalog, num_negatives: int) -> "UniformNegatives":
        return UniformNegatives(catalog, num_negatives)


class UniformNegatives(NegativeSampler):
    """Draw items uniformly, without correction: all logits would move alike."""

    @override
    def sample(
        self, domain: int, target_ids: Tensor, generator: torch.Generator | None = None
    ) -> Negatives:
        return Negatives(self.uniform(domain, self.num_negatives, generator))


@dataclass(frozen=True, kw_only=True)
class PopularityNegativesConfig(NegativesConfig):
    """Items by their training events."""

    power: float = 0.75
    """Items are drawn in proportion to their training events to this power."""

    @override
    def build(self, catalog: Catalog, num_negatives: int) -> "PopularityNegatives":
        return PopularityNegatives(self, catalog, num_negatives)


class PopularityNegatives(NegativeSampler):
    """Draw items by popularity, with replacement, and correct for it."""

    def __init__(
        self, config: PopularityNegativesConfig, catalog: Catalog, num_negatives: int
    ) -> None:
        super().__init__(catalog, num_negatives)
        self.share = self.shares(catalog, config.power)
        self.cumulated = [
            share[pool].cumsum(0) for share, pool in zip(self.share, self.pools, strict=True)
        ]

    @override
    def sample(
        self, domain: int, target_ids: Tensor, generator: torch.Generator | None = None
    ) -> Negatives:
        pool, borders = self.pools[domain - 1], self.cumulated[domain - 1]
        if self.is_whole(domain):
            return Negatives(pool)
        points = torch.rand(self.num_negatives, dtype=torch.float64, generator=generator)
        drawn = torch.searchsorted(borders, points * borders[-1], right=True)
        item_ids = pool[drawn.clamp_max(len(pool) - 1)]
        expected = self.num_negatives * self.share[domain - 1][item_ids]
        return Negatives(item_ids, expected.log().float())


@dataclass(frozen=True, kw_only=True)
class InBatchNegativesConfig(NegativesConfig):
    """The other targets of the batch and, mixed with them, uniform ones."""

    uniform_share: float = 0.5
    """Share of the negatives that is drawn uniformly; 0 takes other targets only, and then an item
    that is rarely a target is rarely pushed down."""

    def __post_init__(self) -> None:
        _check_share("InBatchNegativesConfig.uniform_share", self.uniform_share)

    @override
    def build(self, catalog: Catalog, num_negatives: int) -> "InBatchNegatives":
        return InBatchNegatives(self, catalog, num_negatives)


class InBatchNegatives(NegativeSampler):
    """Take other targets and uniform items, corrected for how often the mixture holds each.

    An item's frequency as a target is its share of the training events of the domain.
    """

    def __init__(
        self, config: InBatchNegativesConfig, catalog: Catalog, num_negatives: int
    ) -> None:
        super().__init__(catalog, num_negatives)
        self.num_uniform = round(config.uniform_share * num_negatives)
        self.share = self.shares(catalog, 1.0)

    @override
    def sample(
        self, domain: int, target_ids: Tensor, generator: torch.Generator | None = None
    ) -> Negatives:
        pool = self.pools[domain - 1]
        if self.is_whole(domain) and self.num_uniform > 0:
            return Negatives(pool)
        targets = target_ids.cpu()
        order = torch.randperm(len(targets), generator=generator)
        own = targets[order[: self.num_negatives - self.num_uniform]]
        uniform = self.uniform(domain, self.num_uniform, generator)
        item_ids = torch.cat([uniform, own])
        # A row's own target never counts: the other columns are draws of all targets but it.
        others = len(own) * (len(targets) - 1) / max(1, len(targets))
        expected = others * self.share[domain - 1][item_ids] + len(uniform) / max(1, len(pool))
        return Negatives(item_ids, expected.clamp_min(1e-12).log().float())


@dataclass(frozen=True, kw_only=True)
class HardNegativesConfig(NegativesConfig):
    """Items near the targets in meaning and, mixed with them, uniform ones."""

    uniform_share: float = 0.5
    """Share of the negatives that is drawn uniformly."""
    nearest: int = 50
    """Near items are drawn from so many around each target."""
    skip: int = 2
    """Nearer ones that are left out: they may be the same product, and wanted too."""

    def __post_init__(self) -> None:
        _check_share("HardNegativesConfig.uniform_share", self.uniform_share)
        if self.uniform_share == 0:
            raise ValueError(
                "HardNegativesConfig.uniform_share is 0: items that are near no target would never "
                "be negatives; set it above 0"
            )

    @override
    def build(self, catalog: Catalog, num_negatives: int) -> "HardNegatives":
        return HardNegatives(self, catalog, num_negatives)


class HardNegatives(NegativeSampler):
    """Draw near items and uniform ones, corrected for how often the mixture holds each.

    The correction makes the loss that of the full softmax, estimated best where it is largest.
    """

    def __init__(self, config: HardNegativesConfig, catalog: Catalog, num_negatives: int) -> None:
        super().__init__(catalog, num_negatives)
        self.num_uniform = max(1, round(config.uniform_share * num_negatives))
        found = nearest_items(catalog, config.skip + config.nearest)
        self.neighbors = found._replace(item_ids=found.item_ids[:, config.skip :])

    @override
    def sample(
        self, domain: int, target_ids: Tensor, generator: torch.Generator | None = None
    ) -> Negatives:
        pool = self.pools[domain - 1]
        if self.is_whole(domain):
            return Negatives(pool)
        targets = target_ids.cpu()
        near = self.neighbors.of(torch.full_like(targets, domain), targets).flatten()
        near = near[near > 0]
        num_near = self.num_negatives - self.num_uniform if len(near) > 0 else 0
        drawn = near[torch.randint(max(1, len(near)), (num_near,), generator=generator)]
        uniform = self.uniform(domain, self.num_negatives - num_near, generator)
        item_ids = torch.cat([uniform, drawn])
        shares = torch.bincount(near, minlength=self.num_items + 1) / max(1, len(near))
        expected = num_near * shares[item_ids] + len(uniform) / len(pool)
        return Negatives(item_ids, expected.log())


torch.serialization.add_safe_globals(
    [
        UniformNegativesConfig,
        PopularityNegativesConfig,
        InBatchNegativesConfig,
        HardNegativesConfig,
    ]
)


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}: it is a share, set it from 0 to 1")
