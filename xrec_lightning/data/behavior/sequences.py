"""Histories in memory-mapped arrays; windows are cut on the fly, a batch at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from torch.utils.data.distributed import DistributedSampler
from typing_extensions import override

from xrec_lightning.batches import SequenceBatch
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

Ints = NDArray[np.integer]

BUCKET_BATCHES = 32
"""Batches that are sorted by length together: enough to save padding, few enough to stay random."""


class Window(NamedTuple):
    """A stretch of one user's interactions, as flat positions."""

    user: int
    start: int
    stop: int


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

    def basket_starts(self) -> Ints:
        """Return the position of the first interaction of equal user and time, shape ``(N,)``."""
        positions = np.arange(len(self.times))
        is_first = np.ones(len(self.times), dtype=bool)
        is_first[1:] = self.times[1:] != self.times[:-1]
        is_first[self.offsets[:-1][self.offsets[:-1] < len(self.times)]] = True
        return np.maximum.accumulate(np.where(is_first, positions, 0))


def _gather(values: Ints, starts: Ints, stops: Ints) -> Tensor:
    """Return ``values[start:stop]`` of every row, right-padded with 0, shape ``(B, L)``, int64."""
    length = max(1, int((stops - starts).max(initial=0)))
    positions = starts[:, None] + np.arange(length)
    is_real = positions < stops[:, None]
    if len(values) == 0:
        return torch.zeros(positions.shape, dtype=torch.int64)
    gathered = values[np.minimum(positions, len(values) - 1)]
    return torch.from_numpy(np.where(is_real, gathered, 0).astype(np.int64))


class TrainingWindows(Dataset[SequenceBatch]):
    """Windows of training interactions in which every interaction is a target.

    A target sees the interactions of its window that are strictly earlier than itself; those of
    the window's first time see nothing and are no targets.
    """

    def __init__(self, histories: Histories) -> None:
        self.histories = histories
        self.basket_starts = histories.basket_starts()

    def __len__(self) -> int:
        return len(self.histories.train_ends)

    def __getitems__(self, windows: Sequence[Window]) -> SequenceBatch:
        """Return the batch of ``windows``; targets stand at the positions of their interactions."""
        starts = np.array([window.start for window in windows])
        stops = np.array([window.stop for window in windows])
        item_ids = _gather(self.histories.item_ids, starts, stops)
        domain_ids = _gather(self.histories.domain_ids, starts, stops)
        states = _gather(self.basket_starts, starts, stops) - torch.from_numpy(starts)[:, None] - 1
        is_target = (states >= 0) & (item_ids > 0)
        return SequenceBatch(
            user_ids=torch.tensor([window.user for window in windows]),
            item_ids=item_ids,
            domain_ids=domain_ids,
            times=_gather(self.histories.times, starts, stops),
            target_ids=item_ids * is_target,
            target_domain_ids=domain_ids * is_target,
            state_positions=torch.where(is_target, states, -1),
            seen_ids=item_ids.new_zeros(len(windows), 0),
            slice_mask=torch.zeros(len(windows), 0, dtype=torch.bool),
            row_ids=item_ids.new_zeros(0),
        )


class WindowSampler(DistributedSampler[Window]):
    """Cut every user's training interactions into windows anew each epoch, alike lengths together.

    Interactions before the newest ``length + 1`` are drawn by windows whose borders move at random
    from epoch to epoch, each by itself: an older target may serve twice or not at all in one epoch,
    but none always lacks its history.
    """

    def __init__(
        self,
        histories: Histories,
        length: int,
        batch_size: int,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
    ) -> None:
        self.histories = histories
        self.length = length
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0
        self.num_replicas = num_replicas
        self.rank = rank
        counts = histories.train_ends - histories.offsets[:-1]
        # One interaction gives no target; every further window shares one interaction.
        self.windows_per_user = np.where(counts > 1, -((1 - counts) // length), 0)
        total = int(self.windows_per_user.sum())
        self.size = -(-total // num_replicas)

    @override
    def __len__(self) -> int:
        return self.size

    @override
    def __iter__(self) -> Iterator[Window]:
        generator = np.random.default_rng((self.seed, self.epoch))
        users = np.repeat(np.arange(len(self.windows_per_user)), self.windows_per_user)
        firsts = np.cumsum(self.windows_per_user) - self.windows_per_user
        numbers = np.arange(len(users)) - np.repeat(firsts, self.windows_per_user)
        shifts = generator.integers(0, self.length, len(users)) * (numbers > 0)
        # A shifted border must leave a target behind it.
        offsets = self.histories.offsets[:-1][users]
        stops = self.histories.train_ends[users] - numbers * self.length
        stops = np.maximum(stops + shifts, offsets + 2)
        stops = np.minimum(stops, self.histories.train_ends[users])
        starts = np.maximum(offsets, stops - self.length - 1)
        order = self._order(stops - starts, generator)
        for index in order[self.rank :: self.num_replicas]:
            yield Window(int(users[index]) + 1, int(starts[index]), int(stops[index]))

    def _order(self, lengths: Ints, generator: np.random.Generator) -> Ints:
        """Return a random order in which the windows of one batch are about equally long."""
        order = generator.permutation(len(lengths))
        batch = self.batch_size * self.num_replicas
        chunks = np.arange(len(order)) // (batch * BUCKET_BATCHES)
        order = order[np.lexsort((lengths[order], chunks))]
        full = len(order) // batch
        batches = generator.permutation(full)
        shuffled = order[: full * batch].reshape(full, batch)[batches].reshape(-1)
        order = np.concatenate([shuffled, order[full * batch :]])
        # Ranks train on equally many windows: the first few serve twice.
        return np.concatenate([order, order[: self.size * self.num_replicas - len(order)]])


class Targets(Dataset[SequenceBatch]):
    """Targets to be ranked, each with the newest ``length`` interactions before it."""

    def __init__(self, histories: Histories, targets: pl.DataFrame, length: int) -> None:
        self.histories = histories
        self.length = length
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
        ends = self.ends[index]
        starts = np.maximum(self.starts[index], ends - self.length)
        target_ids = torch.from_numpy(self.items[index].astype(np.int64))[:, None]
        seen_ids = torch.cat(
            [
                _gather(self.histories.item_ids, self.starts[index], self.seen_ends[index]),
                _gather(self.extra_ids, self.extra_offsets[index], self.extra_offsets[index + 1]),
            ],
            dim=1,
        )
        return SequenceBatch(
            user_ids=torch.from_numpy(self.users[index].astype(np.int64)),
            item_ids=_gather(self.histories.item_ids, starts, ends),
            domain_ids=_gather(self.histories.domain_ids, starts, ends),
            times=_gather(self.histories.times, starts, ends),
            target_ids=target_ids,
            target_domain_ids=torch.from_numpy(self.domains[index].astype(np.int64))[:, None],
            state_positions=torch.from_numpy(ends - starts - 1)[:, None],
            seen_ids=seen_ids.masked_fill(seen_ids == target_ids, 0),
            slice_mask=self.slice_mask[index],
            row_ids=torch.from_numpy(index),
        )
