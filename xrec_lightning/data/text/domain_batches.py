"""Batches of rows that are all of one group, such as a domain."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data.distributed import DistributedSampler
from typing_extensions import override

from xrec_lightning.data.errors import InputError

Ints = NDArray[np.integer]
Floats = NDArray[np.floating]


class DomainBatches(DistributedSampler[Ints]):
    """Draw batches of rows of one group each, other ones each epoch.

    Groups are drawn in proportion to the weights of their rows, rows within a group likewise:
    those of equal weight one after the other in random order, none twice before all have served;
    those of unequal weights with replacement. Rows may be drawn in runs, as they follow each other,
    such as the events of a user, which then share the texts of their histories.

    Args:
        group_ids: Group of each row, shape ``(R,)``; one group for all gives mixed batches.
        weights: Positive weight of each row, shape ``(R,)``.
        batch_size: Rows of a batch, over all processes.
        rows_per_epoch: Rows of an epoch; what fills no whole batch is left out.
        seed: Seed of all draws.
        num_replicas: Number of processes.
        rank: Number of this process.
        run_ids: Owner of each row, ascending, shape ``(R,)``; a run has one owner.
        run_length: Rows of a run at most; where runs start changes with the epoch.

    Raises:
        InputError: If not even one batch is full, the processes cannot share one evenly, or there
            are runs of rows of unequal weight.
    """

    def __init__(
        self,
        group_ids: Ints,
        weights: Floats,
        batch_size: int,
        rows_per_epoch: int,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
        run_ids: Ints | None = None,
        run_length: int = 1,
    ) -> None:
        if batch_size > rows_per_epoch:
            raise InputError(
                f"data.init_args.batch_size is {batch_size}, but an epoch has {rows_per_epoch} "
                "rows, which fill no batch; set it lower"
            )
        if batch_size % num_replicas:
            raise InputError(
                f"data.init_args.batch_size is {batch_size}: {num_replicas} processes cannot share "
                f"that evenly; set it to a multiple of {num_replicas}"
            )
        self.batch_size = batch_size
        self.num_batches = rows_per_epoch // batch_size
        self.seed = seed
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        _, groups = np.unique(group_ids, return_inverse=True)
        order = groups.argsort(kind="stable")
        self.members = np.split(order, np.bincount(groups).cumsum()[:-1])
        self.weights = weights
        self.run_ids = run_ids
        self.run_length = run_length
        if run_length > 1 and any(np.ptp(weights[members]) > 0 for members in self.members):
            raise InputError(
                f"data.init_args.run_length is {run_length}, but events of one batch are drawn "
                "unequally often; set it or domain_temperature to 1, or one_domain_batches to true"
            )

    @override
    def __len__(self) -> int:
        return self.num_batches

    @override
    def __iter__(self) -> Iterator[Ints]:
        generator = np.random.default_rng((self.seed, self.epoch))
        rows = [
            self._draw(members, int(quota) * self.batch_size, generator)
            for members, quota in zip(self.members, self._quotas(generator), strict=True)
        ]
        batches = np.concatenate(rows).reshape(self.num_batches, self.batch_size)
        for batch in generator.permutation(batches):
            yield batch[self.rank :: self.num_replicas]

    def _quotas(self, generator: np.random.Generator) -> Ints:
        """Return the batches of each group, in expectation in proportion to its weights."""
        shares = np.array([self.weights[members].sum() for members in self.members])
        borders = np.cumsum(shares) / shares.sum() * self.num_batches
        borders[-1] = self.num_batches
        # One random start for all borders rounds each group up or down without a bias.
        rounded = np.floor(borders + generator.random() * (borders < self.num_batches))
        return np.diff(rounded.astype(np.int64), prepend=0)

    def _draw(self, members: Ints, count: int, generator: np.random.Generator) -> Ints:
        weights = self.weights[members]
        if count == 0 or weights.min() == weights.max():
            return np.resize(self._shuffle(members, generator), count)
        cumulative = np.cumsum(weights, dtype=np.float64)
        draws = generator.random(count) * cumulative[-1]
        return members[np.searchsorted(cumulative, draws, side="right")]

    def _shuffle(self, members: Ints, generator: np.random.Generator) -> Ints:
        """Return the rows in random order, but those of a run behind each other."""
        if self.run_ids is None or self.run_length == 1:
            return generator.permutation(members)
        owners = self.run_ids[members]
        starts = np.searchsorted(owners, owners)  # first row of each row's owner
        offset = generator.integers(self.run_length)
        pieces = (np.arange(len(members)) - starts + offset) // self.run_length
        is_first = np.diff(owners, prepend=-1) | np.diff(pieces, prepend=-1) != 0
        runs = is_first.cumsum() - 1
        places = generator.permutation(runs[-1] + 1)[runs]
        return members[places.argsort(kind="stable")]


def log_shares(group_ids: Ints, keys: Ints, weights: Floats) -> Floats:
    """Return the logarithm of how often a draw of each row's group has the row's key.

    Args:
        group_ids: Group of each row, shape ``(R,)``.
        keys: What may occur in several rows, such as an item, shape ``(R,)``.
        weights: Rows are drawn in proportion to them, shape ``(R,)``.

    Returns:
        Float32, shape ``(R,)``.

    Example:
        >>> shares = log_shares(np.array([1, 1, 1, 2]), np.array([7, 7, 8, 7]), np.ones(4))
        >>> np.exp(shares).astype(float).round(3).tolist()
        [0.667, 0.667, 0.333, 1.0]
    """
    _, groups = np.unique(group_ids, return_inverse=True)
    _, found = np.unique(np.stack([groups, keys]), axis=1, return_inverse=True)
    totals = np.bincount(groups, weights)[groups]
    shares: Floats = np.bincount(found.ravel(), weights)[found.ravel()] / totals
    return np.log(shares).astype(np.float32)
