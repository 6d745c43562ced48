"""``xrec compare``: the paired difference of two test runs."""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from xrec_lightning.atomic import write_text
from xrec_lightning.reports.compare import compare_runs
from xrec_lightning.reports.tables import render_comparison


def main(arguments: Sequence[str]) -> None:
    """Print the gain of one run over another, by metric and slice."""
    parser = ArgumentParser(
        prog="xrec compare",
        description="Print the difference of every metric on every slice between two tested runs, "
        "with its paired bootstrap 95 % interval.",
    )
    parser.add_argument("left", type=Path, help="run folder that is compared against")
    parser.add_argument("right", type=Path, help="run folder whose gain is measured")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON too")
    parser.add_argument("--resamples", type=int, default=2000, help="draws of the bootstrap")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws")
    options = parser.parse_args(arguments)
    comparison = compare_runs(
        options.left, options.right, num_resamples=options.resamples, seed=options.seed
    )
    Console().print(render_comparison(comparison))
    if options.json is not None:
        write_text(comparison.to_json() + "\n", options.json)
