"""Our own runs: a data YAML to its prepared folder. `python ours.py core|full DATA.yaml`.

`core` ends with the sequence store, which is where the peers end; `full` is `xrec prepare`.
"""

import sys
from pathlib import Path

from measure import measured

from xrec_lightning.data.config.load import PrepareConfig, load_config
from xrec_lightning.data.prepare import prepare


def run_ours_core(config: PrepareConfig, steps: dict[str, float]) -> None:
    """Read, clean, split and index, and write the sequence store; note the seconds of each step."""
    prepare(config, until="sequences", timings=steps)


def run_ours_full(config: PrepareConfig, steps: dict[str, float]) -> None:
    """Do all that `xrec prepare` does."""
    prepare(config)


if __name__ == "__main__":
    run = run_ours_core if sys.argv[1] == "core" else run_ours_full
    with measured("xrec-lightning", "polars", "numpy") as facts:
        seconds: dict[str, float] = {}
        run(load_config(Path(sys.argv[2])), seconds)
        facts["steps"] = seconds
