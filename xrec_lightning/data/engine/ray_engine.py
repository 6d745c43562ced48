"""The shards of `prepare` on a Ray cluster; the output folder must be one that all nodes see."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from xrec_lightning.data.errors import InputError

Result = TypeVar("Result")


class RayEngine:
    """Every shard is a task of the cluster that ``RAY_ADDRESS`` names, else of a local one.

    Raises:
        InputError: If Ray is not installed.
    """

    shares_memory = False

    def __init__(self) -> None:
        try:
            import ray
        except ImportError as error:
            raise InputError(
                "the engine `ray` needs Ray: `pip install 'xrec-lightning[ray]'`, or use "
                "`--engine local`"
            ) from error
        self.ray = ray
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        self.min_shards = max(2, int(resources.get("CPU", 1)))

    def map(self, step: Callable[[int], Result], shards: Sequence[int]) -> list[Result]:
        """Return ``step(shard)`` of every shard, in order; the first error of a task is raised."""
        task: Any = self.ray.remote(step_of_shard)
        shared = self.ray.put(step)  # travels once to a node, not once a shard
        try:
            return self.ray.get([task.remote(shared, shard) for shard in shards])
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from error


def step_of_shard(step: Callable[[int], Result], shard: int) -> Result:
    """Return ``step(shard)``; what the workers run."""
    return step(shard)
