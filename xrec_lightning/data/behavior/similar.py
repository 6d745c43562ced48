"""Augmentations that put items of like meaning into training histories."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.data.behavior.augment import (
    NEVER,
    Augmentation,
    AugmentationConfig,
    Events,
    Ints,
    Mask,
)
from xrec_lightning.data.errors import InputError
from xrec_lightning.knowledge.neighbors import Neighbors, nearest_items


@dataclass(frozen=True, kw_only=True)
class SimilarItemsConfig(AugmentationConfig):
    """Settings of an augmentation that draws items near those of the history."""

    rate: float = 0.1
    """Share of the events of a changed history that are touched."""
    nearest: int = 10
    """The item is drawn from so many nearest ones that have training events."""
    same_domain: bool = True
    """Draw it from the domain of the event, not from all."""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_share("rate")
        if self.nearest < 1:
            raise InputError(
                f"{type(self).__name__}.nearest is {self.nearest}: draw from at least 1 item"
            )

    @override
    def build(self, catalog: Catalog) -> Augmentation:
        if catalog.vectors is None:
            raise InputError(
                f"{type(self).__name__} needs knowledge vectors: set data.init_args.knowledge to "
                "the folder that `xrec embed` wrote"
            )
        neighbors = nearest_items(catalog, self.nearest, self.same_domain)
        homes = np.zeros(catalog.num_items + 1, dtype=np.int64)
        for domain, item_ids in reversed(list(enumerate(catalog.candidates, start=1))):
            homes[item_ids.numpy()] = domain

        def augment(events: Events, generator: np.random.Generator) -> Events:
            is_touched = generator.random(events.item_ids.shape) < self.rate
            is_touched &= events.mask & self.chosen(events, generator)
            drawn = self._draw(events, is_touched, neighbors, generator)
            domain_ids = events.domain_ids if self.same_domain else homes[drawn]
            return self.place(events, drawn, np.where(drawn > 0, domain_ids, 0))

        return augment

    @abstractmethod
    def place(self, events: Events, drawn: Ints, domain_ids: Ints) -> Events:
        """Return ``events`` with the ``drawn`` items, 0 where there is none, shape ``(B, L)``."""

    def _draw(
        self, events: Events, is_touched: Mask, neighbors: Neighbors, generator: np.random.Generator
    ) -> Ints:
        """Return an item near each touched one, none that the history holds already."""
        rows, columns = is_touched.nonzero()
        domain_ids = events.domain_ids[rows, columns] * self.same_domain
        near = neighbors.of(
            torch.from_numpy(domain_ids), torch.from_numpy(events.item_ids[rows, columns])
        ).numpy()
        slots = generator.integers(0, max(1, near.shape[1]), len(rows))
        found = near[np.arange(len(rows)), slots] if near.size else np.zeros(len(rows), np.int64)
        is_there = (events.item_ids[rows] == found[:, None]).any(axis=1)
        drawn = np.zeros_like(events.item_ids)
        drawn[rows, columns] = np.where(is_there, 0, found)
        return drawn


@dataclass(frozen=True, kw_only=True)
class SubstituteConfig(SimilarItemsConfig):
    """Replace items of a history by similar ones."""

    @override
    def place(self, events: Events, drawn: Ints, domain_ids: Ints) -> Events:
        return events._replace(
            item_ids=np.where(drawn > 0, drawn, events.item_ids),
            domain_ids=np.where(drawn > 0, domain_ids, events.domain_ids),
        )


@dataclass(frozen=True, kw_only=True)
class InsertConfig(SimilarItemsConfig):
    """Put a similar item before items of a history, at the same time; the oldest make room."""

    @override
    def place(self, events: Events, drawn: Ints, domain_ids: Ints) -> Events:
        is_new = drawn > 0
        shifts = is_new.cumsum(axis=1)
        width = events.item_ids.shape[1] + int(shifts[:, -1].max(initial=0))
        rows, columns = events.mask.nonzero()
        new_rows, new_columns = is_new.nonzero()

        def merge(old: Ints, new: Ints, padding: int) -> Ints:
            merged = np.full((len(old), width), padding, dtype=np.int64)
            merged[rows, columns + shifts[rows, columns]] = old[rows, columns]
            before = new_columns + shifts[new_rows, new_columns] - 1
            merged[new_rows, before] = new[new_rows, new_columns]
            return merged

        return Events(
            item_ids=merge(events.item_ids, drawn, 0),
            domain_ids=merge(events.domain_ids, domain_ids, 0),
            times=merge(events.times, events.times, 0),
            origins=merge(events.origins, events.origins, NEVER),
        )
