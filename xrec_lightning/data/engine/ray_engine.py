"""The shards of `prepare` on a Ray cluster; the output folder must be one that all nodes see."""

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from xrec_lightning.data.errors import InputError

Result = TypeVar("Result")


class RayEngine:
    """Every shard is a task of the cluster that ``RAY_ADDRESS`` names, else of a local one.

    Leaving the engine, as a context manager or by `close`, ends Ray where this engine has started
    it. A cluster that was there before, or that this process had joined, stays.

    Raises:
        InputError: If Ray is not installed, or the cluster cannot be reached.
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
        self.ray: Any = ray
        self.has_started = not ray.is_initialized()
        if self.has_started:
            self._start()
        self.min_shards = max(2, int(self.ray.cluster_resources().get("CPU", 1)))

    def map(self, step: Callable[[int], Result], shards: Sequence[int]) -> list[Result]:
        """Return ``step(shard)`` of every shard, in order; the first error of a task is raised.

        When this returns or raises, no task is running: none can write into a folder that is gone.

        Raises:
            InputError: If a worker dies, mostly for want of memory.
        """
        # A step leaves frames behind and takes others away: half of it cannot be done again.
        task = self.ray.remote(max_retries=0)(step_of_shard)
        shared = self.ray.put(step)  # travels once to a node, not once a shard
        results = [task.remote(shared, shard) for shard in shards]
        try:
            return self.ray.get(results)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self.ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"a worker of Ray has died: {reason} If it had too little memory, give a smaller "
                "`--rows-per-shard` or more nodes"
            ) from error
        finally:
            self._end(results)

    def close(self) -> None:
        """End Ray if this engine has started it."""
        if self.has_started:
            self.ray.shutdown()
            self.has_started = False

    def __enter__(self) -> "RayEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        os.environ.setdefault(
            "RAY_USAGE_STATS_ENABLED", "0"
        )  # what is prepared is nobody's business
        try:
            self.ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
        except ConnectionError as error:
            raise InputError(
                f"RAY_ADDRESS: {os.environ.get('RAY_ADDRESS')}: no cluster answers ({error}); "
                "correct it, or unset it for a local one"
            ) from error

    def _end(self, results: Sequence[Any]) -> None:
        """Cancel the tasks that have not ended, and wait for those that run."""
        if not results:
            return
        _, unfinished = self.ray.wait(
            results, num_returns=len(results), timeout=0, fetch_local=False
        )
        for each in unfinished:
            self.ray.cancel(each)
        if unfinished:
            self.ray.wait(unfinished, num_returns=len(unfinished), fetch_local=False)


def step_of_shard(step: Callable[[int], Result], shard: int) -> Result:
    """Return ``step(shard)``; what the workers run."""
    return step(shard)
