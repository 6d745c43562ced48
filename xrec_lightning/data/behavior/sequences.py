"""Histories in memory-mapped arrays; windows are cut on the fly, a batch at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from xrec_lightning.batches import SequenceBatch
from xrec_lightning.data.behavior.augment import (
    NEVER,
    Augmentation,
    Events,
    Ints,
    Mask,
    newest,
    select,
    visible_states,
)
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.schema import (
    DOMAIN_INDEX,
    EXTRA_SEEN,
    HISTORY_END,
    HISTORY_START,
    ITEM_INDEX,
    SEEN_END,
    SLICES,
    USER_INDEX,
    slice_column,
)

Floats = NDArray[np.floating]


class Windows(NamedTuple):
    """Stretches of users' interactions that make up a batch. W windows."""

    users: Ints
    """User indices, shape ``(W,)``."""
    starts: Ints
    """Flat position of the first interaction, shape ``(W,)``."""
    stops: Ints
    """Flat position after the last interaction, shape ``(W,)``."""
    key: tuple[int, ...] = (0,)
    """Seeds what is random in the batch."""


class Dislikes(NamedTuple):
    """Items that users do not want. Shapes: U users, M dislikes."""

    offsets: Ints
    """Those of user ``u`` (from 1) are ``offsets[u - 1]:offsets[u]``, shape ``(U + 1,)``."""
    item_ids: Ints
    """Shape ``(M,)``."""


@dataclass(frozen=True)
class Histories:
    """The interactions of all users, one after the other, in order of time.

    Shapes: U users, N interactions. User ``u`` (from 1) owns ``offsets[u - 1]:offsets[u]``.
    """

    offsets: Ints
    """Shape ``(U + 1,)``."""
    item_ids: Ints
    """Shape ``(N,)``."""
    domain_ids: Ints
    """Shape ``(N,)``."""
    times: Ints
    """Seconds, shape ``(N,)``."""
    train_ends: Ints
    """Flat position after the last training interaction of each user, shape ``(U,)``."""
    weights: Floats | None = None
    """Weight of each interaction as a target in training, shape ``(N,)``; ``None``: all are 1."""
    dislikes: Dislikes | None = None
    """What users do not want; ``None`` when nobody said so."""
    is_ordered: bool = False
    """Whether interactions of equal time have an order too: the earlier ones are then seen."""


def open_histories(prepared: Prepared) -> Histories:
    """Return the interactions of a prepared data set."""
    return Histories(
        offsets=prepared.offsets,
        item_ids=prepared.item_ids,
        domain_ids=prepared.domain_ids,
        times=prepared.times,
        train_ends=prepared.train_ends,
        weights=prepared.weights,
        dislikes=None if prepared.dislikes is None else Dislikes(*prepared.dislikes),
        is_ordered=prepared.manifest["config"]["split"]["ties"] == "file",
    )


class TrainingWindows(Dataset[SequenceBatch]):
    """Windows of training interactions in which every interaction is a target.

    A target sees the interactions of its window that are strictly earlier than itself; those of
    the window's first time see nothing and are no targets.

    Args:
        histories: The interactions.
        augmentations: What is done to the histories of a batch, from first to last.
        length: Longest history after that, in interactions; ``None`` when nothing makes it longer.
        max_dislikes: Dislikes of a user that come with a batch, the last ones.
        is_target: Domains whose interactions are targets, shape ``(D + 1,)``; all by default.
    """

    def __init__(
        self,
        histories: Histories,
        augmentations: Sequence[Augmentation] = (),
        length: int | None = None,
        max_dislikes: int = 32,
        is_target: Mask | None = None,
    ) -> None:
        self.histories = histories
        self.augmentations = augmentations
        self.length = length
        self.max_dislikes = max_dislikes
        self.is_target = is_target

    def __len__(self) -> int:
        return len(self.histories.train_ends)

    def __getitem__(self, windows: Windows) -> SequenceBatch:
        """Return the batch of ``windows``; targets stand at the positions of their interactions."""
        events = _events(self.histories, windows.starts, windows.stops)
        states = _last_earlier(events.times, self.histories.is_ordered)
        target_ids, target_domain_ids = events.item_ids, events.domain_ids
        is_target = (states >= 0) & events.mask
        if self.is_target is not None:
            is_target &= self.is_target[events.domain_ids]
        if self.augmentations:
            events = self._augment(events, windows.key)
            states = visible_states(events.origins, np.where(is_target, states, -1))
            is_target = states >= 0
        batch_size = len(windows.users)
        return SequenceBatch(
            user_ids=torch.from_numpy(windows.users.astype(np.int64)),
            item_ids=torch.from_numpy(events.item_ids),
            domain_ids=torch.from_numpy(events.domain_ids),
            times=torch.from_numpy(events.times),
            target_ids=torch.from_numpy(target_ids * is_target),
            target_domain_ids=torch.from_numpy(target_domain_ids * is_target),
            target_weights=torch.from_numpy(self._weights(windows) * is_target).float(),
            state_positions=torch.from_numpy(np.where(is_target, states, -1)),
            disliked_ids=self._dislikes(windows),
            seen_ids=torch.zeros(batch_size, 0, dtype=torch.int64),
            slice_mask=torch.zeros(batch_size, 0, dtype=torch.bool),
            row_ids=torch.zeros(0, dtype=torch.int64),
        )

    def _augment(self, events: Events, key: Sequence[int]) -> Events:
        generator = np.random.default_rng(key)
        for augmentation in self.augmentations:
            events = augmentation(events, generator)
        return newest(events, events.item_ids.shape[1] if self.length is None else self.length)

    def _weights(self, windows: Windows) -> Floats | float:
        if self.histories.weights is None:
            return 1.0
        return _gather(self.histories.weights, windows.starts, windows.stops)

    def _dislikes(self, windows: Windows) -> Tensor:
        """Return the dislikes of each window's user, right-padded with 0, shape ``(B, K)``."""
        if self.histories.dislikes is None:
            return torch.zeros(len(windows.users), 0, dtype=torch.int64)
        offsets, item_ids = self.histories.dislikes
        stops = offsets[windows.users]
        starts = np.maximum(offsets[windows.users - 1], stops - self.max_dislikes)
        return torch.from_numpy(_gather(item_ids, starts, stops))


class Targets(Dataset[SequenceBatch]):
    """Targets to be ranked, each with the newest ``length`` interactions before it.

    Args:
        histories: The interactions.
        targets: Rows of a target file.
        length: Longest history.
        is_shown: Whether a target of the first domain sees interactions of the second one, shape
            ``(D + 1, D + 1)``; all by default. What is seen stays so, shown or not.
        visible: Interactions that targets see in the place of ``histories``.
    """

    def __init__(
        self,
        histories: Histories,
        targets: pl.DataFrame,
        length: int,
        is_shown: Mask | None = None,
        visible: Histories | None = None,
    ) -> None:
        self.histories = histories
        self.visible = visible or histories
        self.length = length
        self.is_shown = is_shown
        self.users = targets[USER_INDEX].to_numpy()
        self.items = targets[ITEM_INDEX].to_numpy()
        self.domains = targets[DOMAIN_INDEX].to_numpy()
        self.starts = targets[HISTORY_START].to_numpy()
        self.ends = targets[HISTORY_END].to_numpy()
        self.seen_ends = targets[SEEN_END].to_numpy()
        extra = targets[EXTRA_SEEN].fill_null([])
        counts = extra.list.len().to_numpy().astype(np.int64)
        self.extra_offsets = np.concatenate([[0], counts.cumsum()])
        self.extra_ids = extra.explode().drop_nulls().to_numpy()
        masks = [targets[slice_column(name)].to_numpy() for name in SLICES]
        self.slice_mask = torch.from_numpy(np.stack(masks, axis=1))

    def __len__(self) -> int:
        return len(self.items)

    def __getitems__(self, rows: Sequence[int]) -> SequenceBatch:
        """Return the batch of ``rows`` of the target file."""
        index = np.array(rows)
        events = self._history(index)
        target_ids = torch.from_numpy(self.items[index].astype(np.int64))[:, None]
        seen = [
            _gather(self.histories.item_ids, self.starts[index], self.seen_ends[index]),
            _gather(self.extra_ids, self.extra_offsets[index], self.extra_offsets[index + 1]),
        ]
        seen_ids = torch.from_numpy(np.concatenate(seen, axis=1))
        return SequenceBatch(
            user_ids=torch.from_numpy(self.users[index].astype(np.int64)),
            item_ids=torch.from_numpy(events.item_ids),
            domain_ids=torch.from_numpy(events.domain_ids),
            times=torch.from_numpy(events.times),
            target_ids=target_ids,
            target_domain_ids=torch.from_numpy(self.domains[index].astype(np.int64))[:, None],
            target_weights=torch.ones(target_ids.shape),
            state_positions=torch.from_numpy(events.lengths - 1)[:, None],
            disliked_ids=target_ids.new_zeros(len(index), 0),
            seen_ids=seen_ids.masked_fill(seen_ids == target_ids, 0),
            slice_mask=self.slice_mask[index],
            row_ids=torch.from_numpy(index),
        )

    def _history(self, index: Ints) -> Events:
        """Return what the targets see, oldest first."""
        starts, ends = self.starts[index], self.ends[index]
        if self.is_shown is None:
            return _events(self.visible, np.maximum(starts, ends - self.length), ends)
        events = _events(self.visible, starts, ends)
        shown = self.is_shown[self.domains[index][:, None], events.domain_ids]
        return newest(select(events, shown), self.length)


def _events(histories: Histories, starts: Ints, stops: Ints) -> Events:
    """Return the interactions ``start:stop`` of every row, right-padded."""
    item_ids, domain_ids, times = (
        _gather(values, starts, stops)
        for values in (histories.item_ids, histories.domain_ids, histories.times)
    )
    origins = np.where(item_ids > 0, np.arange(item_ids.shape[1]), NEVER)
    return Events(item_ids, domain_ids, times, origins)


def _gather(values: NDArray[Any], starts: Ints, stops: Ints) -> NDArray[Any]:
    """Return ``values[start:stop]`` of every row, right-padded with 0, ``(B, L)``, 8 bytes wide."""
    wide = np.float64 if values.dtype.kind == "f" else np.int64
    length = max(1, int((stops - starts).max(initial=0)))
    positions = starts[:, None] + np.arange(length)
    if len(values) == 0:
        return np.zeros(positions.shape, dtype=wide)
    gathered = values[np.minimum(positions, len(values) - 1)]
    return np.where(positions < stops[:, None], gathered, 0).astype(wide)


def _last_earlier(times: Ints, is_ordered: bool) -> Ints:
    """Return the position of the last interaction earlier than each one, -1: there is none.

    Args:
        times: Times of windows, shape ``(B, L)``.
        is_ordered: Whether the one before is earlier even when its time is equal.

    Returns:
        Shape ``(B, L)``; at padding it carries no meaning.
    """
    positions = np.broadcast_to(np.arange(times.shape[1]), times.shape)
    if is_ordered:
        return positions - 1
    is_first = np.ones(times.shape, dtype=bool)
    is_first[:, 1:] = times[:, 1:] != times[:, :-1]
    first: Ints = np.maximum.accumulate(np.where(is_first, positions, 0), axis=1)
    return first - 1
