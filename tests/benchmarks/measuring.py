"""Scripts run and measured one after the other, and the table of what they took."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
_POOLS = ("OMP", "MKL", "OPENBLAS", "ARROW")
ONE_THREAD = dict.fromkeys([*(f"{name}_NUM_THREADS" for name in _POOLS), "POLARS_MAX_THREADS"], "1")
_TIMEOUT_S = 3600


@dataclass
class Contestant:
    """A script that is measured, with the runs so far."""

    name: str
    command: list[str] | None
    """None: its environment is absent."""
    runs: list[dict[str, Any]] = field(default_factory=list)
    """What `measured` wrote, once a run."""
    trouble: str = ""
    """Why there are no runs."""

    def median(self, key: str) -> float:
        """Return the median of one figure; NaN when nothing ran."""
        return statistics.median(run[key] for run in self.runs) if self.runs else float("nan")

    def versions(self) -> str:
        """Return the versions of the first run."""
        pairs = self.runs[0]["versions"].items() if self.runs else ()
        return ", ".join(f"{name} {version}" for name, version in pairs)


def run(contestant: Contestant, threads: Mapping[str, str], folder: Path) -> None:
    """Run the script once in ``folder`` and note its figures, or what went wrong."""
    if contestant.command is None or contestant.trouble:
        return
    environment = {**os.environ, **threads}
    done = subprocess.run(
        contestant.command,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
        timeout=_TIMEOUT_S,
    )
    lines = done.stdout.splitlines()
    if done.returncode == 0 and lines:
        contestant.runs.append(json.loads(lines[-1]))
    else:
        contestant.trouble = (done.stderr.splitlines() or ["no output"])[-1]


def table(contestants: Sequence[Contestant], unit: Contestant) -> Iterable[str]:
    """Yield one line a contestant: medians, their ratio to those of ``unit``, and versions."""
    yield f"{'':18} {'CPU s':>8} {'ratio':>6} {'wall s':>8} {'peak MB':>8} {'ratio':>6}  versions"
    for each in contestants:
        if not each.runs:
            yield f"{each.name:18} {each.trouble or 'absent'}"
            continue
        cpu, wall, peak = (each.median(key) for key in ("cpu_s", "wall_s", "peak_mb"))
        ratios = cpu / unit.median("cpu_s"), peak / unit.median("peak_mb")
        yield (
            f"{each.name:18} {cpu:8.2f} {ratios[0]:6.2f} {wall:8.2f} {peak:8.0f} {ratios[1]:6.2f}  "
            f"{each.versions()}"
        )


def make_data(path: Path, num_interactions: int) -> None:
    """Write generated interactions to ``path``."""
    command = [sys.executable, str(FOLDER / "generate.py"), str(path)]
    subprocess.run([*command, "--interactions", str(num_interactions)], check=True)
