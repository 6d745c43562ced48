"""Masked language modeling of MiniLM: our loop beside the trainer of `transformers`."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from measuring import FOLDER, ONE_THREAD, Contestant, run

SCRIPT = FOLDER / "peers" / "pretrain_step.py"
NAMES = ("Trainer", "Trainer, grouped", "ours", "ours, frozen", "ours, packed")


def table(contestants: Sequence[Contestant]) -> Iterable[str]:
    """Yield one line a contestant: medians, and their ratios to those of the first two."""
    yield f"{'':<18}{'tokens / CPU s':>15}{'x Trainer':>11}{'x grouped':>11}{'peak':>9}"
    first, second = (each.median("rate") for each in contestants[:2])
    for each in contestants:
        if not each.runs:
            yield f"{each.name:<18}{each.trouble}"
            continue
        rate, peak = each.median("rate"), each.median("peak_mb")
        ratios = f"{rate / first:>11.2f}{rate / second:>11.2f}"
        yield f"{each.name:<18}{rate:>15.0f}{ratios}{peak:>6.0f} MB"


def main(arguments: Sequence[str]) -> None:
    """Print real tokens per CPU second of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    contestants = [Contestant(name, [sys.executable, str(SCRIPT), name]) for name in NAMES]
    for _ in range(options.repeats):
        for each in contestants:
            run(each, ONE_THREAD, Path.cwd())
    lines = [*table(contestants)]
    lines.append(
        "8 steps of 2,048 tokens of complete_journey's texts, one thread, all weights trained but "
        "where the embeddings are frozen; peak above the loaded libraries; medians of "
        f"{options.repeats} processes, one contestant after the other; {contestants[0].versions()}"
    )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
