"""The measures of one run, for scripts of any environment: standard library only."""

import gc
import importlib.metadata
import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def measured(*packages: str) -> Iterator[dict[str, object]]:
    """Write one JSON line of what the block took, when it ends; what is yielded goes in too.

    Imports belong before the block. Memory is the highest resident size, of this process or of one
    of its children, above the resident size at the start.

    Args:
        packages: Distributions whose versions the line holds, the measured one first.
    """
    gc.collect()
    with suppress(OSError):  # Linux only: forget the peak of the imports
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    facts: dict[str, object] = {}
    memory, cpu, wall = _peak_megabytes(), _cpu_seconds(), time.perf_counter()
    yield facts
    facts |= {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": _cpu_seconds() - cpu,
        "peak_mb": _peak_megabytes() - memory,
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }
    sys.stdout.write(json.dumps(facts) + "\n")


def _usages() -> list[resource.struct_rusage]:
    return [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]


def _cpu_seconds() -> float:
    return sum(usage.ru_utime + usage.ru_stime for usage in _usages())


def _peak_megabytes() -> float:
    """Return the highest resident size so far, of this process or one of its children."""
    kibibytes = 1024 if sys.platform == "darwin" else 1
    own, children = (usage.ru_maxrss / kibibytes for usage in _usages())
    with suppress(OSError):
        # Usage counts what the parent had before it became this process; Linux tells ours alone.
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        own = next(float(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return max(own, children) / 1024
