"""Augmentations of training histories; targets and the time order of what they see stay.

An augmentation changes the events of a window and remembers from which one each event was made, its
origin. A target then sees the longest beginning of the changed history that was made of events
strictly earlier than itself, whatever the augmentation did.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.data.errors import InputError

Ints = NDArray[np.integer]
Mask = NDArray[np.bool_]

NEVER = 2**31 - 1
"""Origin of padding: no target sees it."""


class Events(NamedTuple):
    """The histories of a training batch, right-padded. Shapes: B histories, L events."""

    item_ids: Ints
    """Items, 0 at padding, shape ``(B, L)``."""
    domain_ids: Ints
    """Domains, 0 at padding, shape ``(B, L)``."""
    times: Ints
    """Seconds, never falling, 0 at padding, shape ``(B, L)``."""
    origins: Ints
    """Position in the window of the event that each is made from, `NEVER` at padding."""

    @property
    def mask(self) -> Mask:
        """True at real events, shape ``(B, L)``."""
        return self.item_ids > 0

    @property
    def lengths(self) -> Ints:
        """Number of events of each history, shape ``(B,)``."""
        return self.mask.sum(axis=1)


Augmentation = Callable[[Events, np.random.Generator], Events]


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig(ABC):
    """Settings of an augmentation of training histories."""

    share: float = 0.5
    """Share of the windows that are changed."""

    def __post_init__(self) -> None:
        self.check_share("share")

    @abstractmethod
    def build(self, catalog: Catalog) -> Augmentation:
        """Return the augmentation for the items of ``catalog``."""

    def chosen(self, events: Events, generator: np.random.Generator) -> Mask:
        """Return which histories are changed, shape ``(B, 1)``."""
        return generator.random((len(events.item_ids), 1)) < self.share

    def check_share(self, name: str) -> None:
        """Refuse a value of the field ``name`` outside 0 to 1.

        Raises:
            InputError: If it is.
        """
        value = getattr(self, name)
        if not 0 <= value <= 1:
            raise InputError(
                f"{type(self).__name__}.{name} is {value}: it is a share, set it from 0 to 1"
            )


@dataclass(frozen=True, kw_only=True)
class CropConfig(AugmentationConfig):
    """Forget the oldest part of a history; targets that are left without one are none."""

    keep: float = 0.5
    """Least share of a history that is kept."""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_share("keep")

    @override
    def build(self, catalog: Catalog) -> Augmentation:
        return self._apply

    def _apply(self, events: Events, generator: np.random.Generator) -> Events:
        most = np.floor((1 - self.keep) * events.lengths[:, None])  # (B, 1)
        dropped = np.floor(generator.random(most.shape) * (most + 1))
        dropped = dropped * self.chosen(events, generator)
        return select(events, np.arange(events.item_ids.shape[1]) >= dropped)


@dataclass(frozen=True, kw_only=True)
class MaskItemsConfig(AugmentationConfig):
    """Leave items out of what targets see, as if they had never been taken.

    No id stands in for them, since 0 ends a history: the events behind move up. The first event of
    a history stays, so that no target loses all that it sees.
    """

    rate: float = 0.2
    """Share of the events of a changed history that are left out."""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_share("rate")

    @override
    def build(self, catalog: Catalog) -> Augmentation:
        return self._apply

    def _apply(self, events: Events, generator: np.random.Generator) -> Events:
        is_left_out = generator.random(events.item_ids.shape) < self.rate
        is_left_out[:, 0] = False
        return select(events, ~(is_left_out & self.chosen(events, generator)))


@dataclass(frozen=True, kw_only=True)
class ReorderConfig(AugmentationConfig):
    """Shuffle a short span of a history; its items trade places, the times stay."""

    span: int = 4
    """Length of the span, in events."""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.span < 2:
            raise InputError(
                f"{type(self).__name__}.span is {self.span}: there is an order of 2 or more events"
            )

    @override
    def build(self, catalog: Catalog) -> Augmentation:
        return self._apply

    def _apply(self, events: Events, generator: np.random.Generator) -> Events:
        return rearrange(events, self.permutation(events, generator))

    def permutation(self, events: Events, generator: np.random.Generator) -> Ints:
        """Return which event stands at each place after the span is shuffled, shape ``(B, L)``."""
        lengths = events.lengths[:, None]
        spans = np.minimum(self.span, lengths) * self.chosen(events, generator)
        starts = np.floor(generator.random(lengths.shape) * (lengths - spans + 1))
        columns = np.arange(events.item_ids.shape[1])
        is_inside = (columns >= starts) & (columns < starts + spans)
        places = starts + generator.random(is_inside.shape) * spans
        return np.where(is_inside, places, columns).argsort(axis=1, kind="stable")


@dataclass(frozen=True, kw_only=True)
class InterleaveConfig(ReorderConfig):
    """Redraw where a span of a history switches between domains; each keeps its own order."""

    span: int = 10
    """Length of the span, in events."""

    @override
    def _apply(self, events: Events, generator: np.random.Generator) -> Events:
        shuffled = self.permutation(events, generator)
        domains = np.take_along_axis(events.domain_ids, shuffled, axis=1)
        # The n-th place of a domain is taken by its n-th event.
        places = domains.argsort(axis=1, kind="stable")
        source = np.empty_like(places)
        np.put_along_axis(source, places, events.domain_ids.argsort(axis=1, kind="stable"), axis=1)
        return rearrange(events, source)


def select(events: Events, keep: Mask) -> Events:
    """Return the events where ``keep`` holds, moved up, shape ``(B, L)``."""
    order = (~(keep & events.mask)).argsort(axis=1, kind="stable")
    is_real = np.take_along_axis(keep & events.mask, order, axis=1)
    values = (np.take_along_axis(each, order, axis=1) for each in events)
    item_ids, domain_ids, times, origins = (np.where(is_real, each, 0) for each in values)
    return Events(item_ids, domain_ids, times, np.where(is_real, origins, NEVER))


def rearrange(events: Events, source: Ints) -> Events:
    """Return the events in another order, over the same times, shape ``(B, L)``."""
    moved = events._replace(times=source)
    item_ids, domain_ids, _, origins = (np.take_along_axis(each, source, axis=1) for each in moved)
    return Events(item_ids, domain_ids, events.times, origins)


def newest(events: Events, length: int) -> Events:
    """Return the newest ``length`` events of each history, without columns of padding only."""
    columns = np.arange(events.item_ids.shape[1])
    if len(columns) > length:
        events = select(events, columns >= events.lengths[:, None] - length)
    longest = max(1, int(events.lengths.max(initial=0)))
    return Events(*(each[:, :longest] for each in events))


def visible_states(origins: Ints, states: Ints) -> Ints:
    """Return the position of the last event that each target sees, -1: it sees none.

    Args:
        origins: Origins of the events, shape ``(B, L)``.
        states: Position in the window of the last event strictly earlier than each target,
            shape ``(B, P)``.

    Returns:
        Shape ``(B, P)``: up to there, all events are made of events up to ``states``.
    """
    rows = np.arange(len(origins))[:, None] * (NEVER + 2)
    reach = np.maximum.accumulate(origins.astype(np.int64), axis=1) + rows  # sorted in all
    counts = np.searchsorted(reach.ravel(), (states + rows).ravel(), side="right")
    found: NDArray[Any] = counts.reshape(states.shape)
    return found - np.arange(len(origins))[:, None] * origins.shape[1] - 1
