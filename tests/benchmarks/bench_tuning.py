"""Training steps of every tuning method on MiniLM: weights, time and memory, side by side."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from measuring import FOLDER, ONE_THREAD, Contestant, run

CONFIGS = FOLDER.parents[1] / "configs" / "tuning"
SCRIPT = FOLDER / "peers" / "tuning_step.py"
UNIT = "full"
HEADER = (
    f"{'':<10}{'trained':>9}{'checkpoint':>13}{'of full':>9}{'step':>9}{'speed-up':>10}{'peak':>9}"
)


def table(contestants: Sequence[Contestant], unit: Contestant) -> Iterable[str]:
    """Yield one line a method: medians, and their ratios to those of ``unit``."""
    yield HEADER
    size, step = unit.median("checkpoint_mb"), unit.median("step_s")
    for each in contestants:
        if not each.runs:
            yield f"{each.name:<10}{each.trouble}"
            continue
        names = ("trained", "checkpoint_mb", "step_s", "peak_mb")
        trained, megabytes, seconds, peak = (each.median(name) for name in names)
        yield (
            f"{each.name:<10}{trained:>9.2%}{megabytes:>10.2f} MB{megabytes / size:>9.1%}"
            f"{seconds:>7.2f} s{step / seconds:>9.2f}x{peak:>6.0f} MB"
        )


def main(arguments: Sequence[str]) -> None:
    """Print one line a method, full tuning first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*", help="names of overlays in configs/tuning; all")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    names = options.methods or sorted(path.stem for path in CONFIGS.glob("*.yaml"))
    contestants = [
        Contestant(name, [sys.executable, str(SCRIPT), str(CONFIGS / f"{name}.yaml")])
        for name in [UNIT, *(name for name in names if name != UNIT)]
    ]
    for _ in range(options.repeats):
        for each in contestants:
            run(each, ONE_THREAD, Path.cwd())
    lines = [*table(contestants, contestants[0])]
    lines.append(
        "CPU seconds of a contrastive step on 64 pairs of 18 tokens, one thread, peak above the "
        f"loaded model; medians of {options.repeats} processes; {contestants[0].versions()}"
    )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
