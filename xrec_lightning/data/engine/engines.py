"""What runs a step of `prepare` on every shard."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Result = TypeVar("Result")


class Engine(Protocol):
    """Runs one function on many shards; each shard's result does not depend on the others."""

    min_shards: int
    """Least number of shards that keeps it busy."""
    shares_memory: bool
    """Whether the shards are worked on in this process."""

    def map(self, step: Callable[[int], Result], shards: Sequence[int]) -> list[Result]:
        """Return ``step(shard)`` of every shard, in order."""


class LocalEngine:
    """One shard after the other in this process: memory holds one shard."""

    min_shards = 1
    shares_memory = True

    def map(self, step: Callable[[int], Result], shards: Sequence[int]) -> list[Result]:
        """Return ``step(shard)`` of every shard, in order."""
        return [step(shard) for shard in shards]
