"""Which windows of the training interactions make up a batch, and in which order."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from torch.utils.data.distributed import DistributedSampler
from typing_extensions import override

from xrec_lightning.data.behavior.augment import Ints
from xrec_lightning.data.behavior.sequences import Histories, Windows

BUCKET_BATCHES = 32
"""Batches that are sorted by length together: enough to save padding, few enough to stay random."""

Locality = Literal["shuffle", "shard"]


class WindowSampler(DistributedSampler[Windows]):
    """Cut every user's training interactions into windows anew each epoch; yield them in batches.

    Interactions before the newest ``length + 1`` are drawn by windows whose borders move at random
    from epoch to epoch, each by itself: an older target may serve twice or not at all in one epoch,
    but none always lacks its history. Windows of a batch are about equally long.

    Args:
        histories: The interactions.
        length: Longest history of the last target, in interactions.
        batch_size: Windows of a batch, in each process.
        seed: Seed of borders and order.
        num_replicas: Number of processes.
        rank: Number of this process.
        locality: `shuffle` deals all windows to the processes, `shard` gives each a contiguous
            range of users, so that each reads its own part of the arrays only. Either way every
            window serves, and a few twice where the processes would not get equally many.
        domain_temperature: Above 1, windows are drawn by the domain of their newest interaction in
            proportion to its windows to the power of one over this, as many as before in all.
    """

    def __init__(
        self,
        histories: Histories,
        length: int,
        batch_size: int,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
        locality: Locality = "shuffle",
        domain_temperature: float = 1.0,
    ) -> None:
        self.histories = histories
        self.length = length
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0
        self.num_replicas = num_replicas
        self.rank = rank
        self.locality = locality
        self.domain_temperature = domain_temperature
        counts = histories.train_ends - histories.offsets[:-1]
        # One interaction gives no target; every further window shares one interaction.
        self.windows_per_user = np.where(counts > 1, -((1 - counts) // length), 0)
        self.first_user, self.last_user, self.size = self._share()

    @override
    def __len__(self) -> int:
        return -(-self.size // self.batch_size)

    @override
    def __iter__(self) -> Iterator[Windows]:
        key = (self.seed, self.epoch)
        generator = np.random.default_rng((*key, self.rank) if self.locality == "shard" else key)
        users, starts, stops = self._cut(generator)
        chosen: Ints = np.arange(len(users))
        if self.domain_temperature != 1.0:
            domain_ids = self.histories.domain_ids[stops - 1]
            chosen = balance(domain_ids, self.domain_temperature, generator)
        chosen = chosen[self._order((stops - starts)[chosen], generator)]
        for number in range(len(self)):
            index = chosen[number * self.batch_size : (number + 1) * self.batch_size]
            own_key = (*key, self.rank, number + 1)
            yield Windows(users[index] + 1, starts[index], stops[index], own_key)

    def _share(self) -> tuple[int, int, int]:
        """Return the range of users of this process, and the windows that each process gets."""
        ends = np.concatenate([[0], self.windows_per_user.cumsum()])
        if self.locality == "shuffle":
            return 0, len(self.windows_per_user), -(-int(ends[-1]) // self.num_replicas)
        wanted = ends[-1] * np.arange(self.num_replicas + 1) // self.num_replicas
        borders = np.searchsorted(ends, wanted)
        sizes = np.diff(ends[borders])
        first, last = borders[self.rank], borders[self.rank + 1]
        if sizes[self.rank] == 0:  # fewer users than processes
            first, last = 0, len(self.windows_per_user)
        return int(first), int(last), int(sizes.max())

    def _cut(self, generator: np.random.Generator) -> tuple[Ints, Ints, Ints]:
        """Return user, start and stop of every window of the users of this process."""
        counts = self.windows_per_user[self.first_user : self.last_user]
        users = np.repeat(np.arange(self.first_user, self.last_user), counts)
        firsts = np.cumsum(counts) - counts
        numbers = np.arange(len(users)) - np.repeat(firsts, counts)
        shifts = generator.integers(0, self.length, len(users)) * (numbers > 0)
        # A shifted border must leave a target behind it.
        offsets = self.histories.offsets[:-1][users]
        stops = self.histories.train_ends[users] - numbers * self.length
        stops = np.maximum(stops + shifts, offsets + 2)
        stops = np.minimum(stops, self.histories.train_ends[users])
        return users, np.maximum(offsets, stops - self.length - 1), stops

    def _order(self, lengths: Ints, generator: np.random.Generator) -> Ints:
        """Return the windows of this process, those of one batch about equally long."""
        replicas = self.num_replicas if self.locality == "shuffle" else 1
        order = generator.permutation(len(lengths))
        batch = self.batch_size * replicas
        chunks = np.arange(len(order)) // (batch * BUCKET_BATCHES)
        order = order[np.lexsort((lengths[order], chunks))]
        full = len(order) // batch
        batches = generator.permutation(full)
        shuffled = order[: full * batch].reshape(full, batch)[batches].reshape(-1)
        order = np.concatenate([shuffled, order[full * batch :]])
        # Processes train on equally many windows: the first few serve twice.
        order = np.resize(order, self.size * replicas)
        return order[self.rank :: replicas] if replicas > 1 else order


def balance(domain_ids: Ints, temperature: float, generator: np.random.Generator) -> Ints:
    """Return as many positions as given, of a domain of n in proportion to ``n ** (1 / T)``.

    A domain's own positions occur equally often, up to one.
    """
    _, counts = np.unique(domain_ids, return_counts=True)
    shares = counts ** (1 / temperature)
    borders = np.rint(np.cumsum(shares) / shares.sum() * len(domain_ids)).astype(np.int64)
    quotas = np.diff(borders, prepend=0)
    members = np.split(domain_ids.argsort(kind="stable"), counts.cumsum())[:-1]
    drawn = [
        np.resize(generator.permutation(own), quota)
        for own, quota in zip(members, quotas, strict=True)
    ]
    return np.concatenate([np.zeros(0, dtype=np.int64), *drawn])
