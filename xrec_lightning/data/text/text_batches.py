"""Which texts make up a training batch, and in which order."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data.distributed import DistributedSampler
from typing_extensions import override

from xrec_lightning.data.text.tokenize import length_batches

Ints = NDArray[np.integer]


class TextRows(NamedTuple):
    """The texts of one batch."""

    rows: Ints
    """Shape ``(T,)``."""
    key: tuple[int, ...]
    """What the random numbers of the batch follow from."""

    def generator(self) -> torch.Generator:
        """Return the source of the random numbers of the batch."""
        (state,) = np.random.SeedSequence(self.key).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(state >> 1))


class TextBatches(DistributedSampler[TextRows]):
    """Draw the texts of an epoch, those of a domain as often as asked, and yield them in batches.

    Args:
        rows: The texts, shape ``(R,)``.
        lengths: Tokens of each text, shape ``(R,)``.
        domain_ids: Domain of each text, shape ``(R,)``.
        batch_tokens: Tokens of a batch in each process, those of padding included.
        is_packed: Whether several texts share a block; then texts of any length make a batch, and
            padding does not count.
        domain_power: A domain serves tokens in proportion to all its tokens to this power: with 1
            each text once, with 0 all domains as many.
        seed: Seed of all draws.
        num_replicas: Number of processes.
        rank: Number of this process.
    """

    def __init__(
        self,
        rows: Ints,
        lengths: Ints,
        domain_ids: Ints,
        batch_tokens: int,
        *,
        is_packed: bool = False,
        domain_power: float = 1.0,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
    ) -> None:
        self.rows = rows
        self.lengths = lengths
        self.domain_ids = domain_ids
        self.batch_tokens = batch_tokens
        self.is_packed = is_packed
        self.domain_power = domain_power
        self.seed = seed
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        # A draw of other texts may fill a batch more or less: all epochs are as long as the first.
        self.size = -(-len(self._batches(self._generator(0))) // num_replicas)

    @override
    def __len__(self) -> int:
        return self.size

    @override
    def __iter__(self) -> Iterator[TextRows]:
        generator = self._generator(self.epoch)
        batches = self._batches(generator)
        order = generator.permutation(len(batches))
        # Processes train on equally many batches: the first few serve twice.
        order = np.resize(order, self.size * self.num_replicas)
        for place in range(self.rank, len(order), self.num_replicas):
            yield TextRows(self.rows[batches[order[place]]], (self.seed, self.epoch, place))

    def _generator(self, epoch: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, epoch))

    def _batches(self, generator: np.random.Generator) -> list[Ints]:
        drawn = draw_texts(self.lengths, self.domain_ids, self.domain_power, generator)
        drawn = generator.permutation(drawn)
        cut = token_batches if self.is_packed else length_batches
        return [drawn[at] for at in cut(self.lengths[drawn], self.batch_tokens)]


def draw_texts(
    lengths: Ints, domain_ids: Ints, power: float, generator: np.random.Generator
) -> Ints:
    """Return texts with about as many tokens as all, of a domain in proportion to ``n ** power``.

    The texts of one domain occur equally often, up to one.

    Args:
        lengths: Tokens of each text, shape ``(R,)``.
        domain_ids: Domain of each text, shape ``(R,)``.
        power: Of the domain's number of tokens.
        generator: Chooses what occurs once more.

    Example:
        >>> lengths, domain_ids = np.array([3, 3, 3, 3]), np.array([1, 1, 1, 2])
        >>> drawn = draw_texts(lengths, domain_ids, 0.0, np.random.default_rng(0))
        >>> sorted(domain_ids[drawn].tolist())
        [1, 1, 2, 2]
    """
    if power == 1.0 or len(lengths) == 0:
        return np.arange(len(lengths))
    _, groups = np.unique(domain_ids, return_inverse=True)
    tokens = np.bincount(groups, lengths)
    shares = np.where(tokens > 0, tokens, 1.0) ** power
    wanted = shares / shares.sum() * tokens.sum()
    counts = np.bincount(groups)
    quotas = np.maximum(1, np.rint(wanted / np.maximum(tokens / counts, 1.0))).astype(np.int64)
    members = np.split(groups.argsort(kind="stable"), counts.cumsum())[:-1]
    return np.concatenate(
        [
            np.resize(generator.permutation(own), quota)
            for own, quota in zip(members, quotas, strict=True)
        ]
    )


def token_batches(lengths: Ints, batch_tokens: int) -> list[Ints]:
    """Split texts, in their order, into batches of at most ``batch_tokens`` tokens.

    A text longer than the budget is a batch of its own.

    Example:
        >>> [rows.tolist() for rows in token_batches(np.array([3, 1, 2, 9]), batch_tokens=4)]
        [[0, 1], [2], [3]]
    """
    batches: list[Ints] = []
    start, filled = 0, 0
    for row, length in enumerate(lengths):
        if filled and filled + length > batch_tokens:
            batches.append(np.arange(start, row))
            start, filled = row, 0
        filled += int(length)
    if start < len(lengths):
        batches.append(np.arange(start, len(lengths)))
    return batches
