"""Shapes and clocks that all contestants of `bench_recommender` share: standard library only."""

import gc
import time
from collections.abc import Callable, Sequence
from pathlib import Path

LENGTH = 50
WIDTH = 64
BLOCKS = 2
HEADS = 2
BATCH_SIZE = 128
DROPOUT = 0.2
TOP_K = 10
RANKED_AT_ONCE = 256
"""Users of an evaluation batch."""
WARM_UP = 2
STEPS = 5
CALLS = 4
"""How often all users are ranked; the first call warms up."""


class Ticks:
    """What each training step was given to predict, and the CPU time at its end."""

    def __init__(self, warm_up: int = WARM_UP) -> None:
        self.warm_up = warm_up
        self.counts: list[int] = []
        self.times: list[float] = []

    def note(self, count: int) -> None:
        """Note the end of a step with ``count`` targets or tokens."""
        self.counts.append(count)
        self.times.append(time.process_time())

    def rate(self) -> float:
        """Return targets per CPU second of the steps after the first few."""
        times = self.times[self.warm_up - 1 :]
        return sum(self.counts[self.warm_up : len(self.times)]) / (times[-1] - times[0])


def rank_often(rank: Callable[[], Sequence[object]]) -> dict[str, float]:
    """Call ``rank``, which returns one entry a user, often, and return its pace and memory.

    Memory grew by what is resident after the last call beyond what was after the second one.
    """
    sizes, seconds, num_users = [], 0.0, 0
    for call in range(CALLS):
        start = time.process_time()
        num_users = len(rank())
        seconds += (time.process_time() - start) * (call > 0)
        gc.collect()
        sizes.append(_resident_megabytes())
    return {"rate": num_users * (CALLS - 1) / seconds, "growth_mb": sizes[-1] - sizes[1]}


def _resident_megabytes() -> float:
    """Return the resident size now; NaN where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    lines = status.read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
