"""``xrec report``: many tested runs side by side, in the terminal, as JSON and as a page."""

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from rich.console import Console

from xrec_lightning.data.errors import InputError
from xrec_lightning.reports.compare import comparison_table, write_comparison
from xrec_lightning.reports.remarks import list_remarks
from xrec_lightning.reports.run_report import write_report
from xrec_lightning.reports.seeds import find_runs
from xrec_lightning.reports.tables import render_models, render_transfer
from xrec_lightning.reports.transfer import transfer_block, transfer_table


def main(arguments: Sequence[str]) -> None:
    """Print the comparison table of tested runs and write it as JSON and HTML.

    Raises:
        InputError: If a run is not given as ``NAME=FOLDER``.
    """
    request = read_request(arguments)
    runs, baseline = request.runs, request.baseline
    if request.json is not None:
        write_comparison(runs, request.json)
    gains = transfer_table(runs[request.joint], request.twins) if request.twins else None
    if request.html is not None:
        lists = request.recommendations
        recommendations = None if lists is None else pl.read_parquet(lists)
        more = [] if gains is None else [transfer_block(gains, request.joint)]
        write_report(runs, request.html, recommendations, baseline=baseline, more=more)
    table = comparison_table(runs, baseline)
    console = Console()
    console.print(render_models(table, baseline, list_remarks(runs)))
    if gains is not None:
        console.print(render_transfer(gains, request.joint))


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """What a command line of ``xrec report`` asks for."""

    runs: dict[str, tuple[Path, ...]]
    """Run folders of each row, one a seed."""
    baseline: str
    """Row that the others are compared with."""
    joint: str
    """Row that is compared with the twins."""
    twins: dict[str, tuple[Path, ...]]
    """Run folders of the single-domain twin of each domain."""
    json: Path | None
    html: Path | None
    recommendations: Path | None


def read_request(arguments: Sequence[str]) -> ReportRequest:
    """Return what a command line asks for.

    Raises:
        InputError: If a run is not given as ``NAME=FOLDER``, or a name is not among them.
    """
    options = _parser().parse_args(arguments)
    runs = dict(named_runs(run) for run in options.runs)
    for name, value in (("baseline", options.baseline), ("joint", options.joint)):
        if value not in (None, *runs):
            raise InputError(f"--{name} {value}: no such run; there are {', '.join(runs)}")
    return ReportRequest(
        runs=runs,
        baseline=options.baseline or next(iter(runs)),
        joint=options.joint or list(runs)[-1],
        twins=dict(named_runs(run) for run in options.twins),
        json=options.json,
        html=options.html,
        recommendations=options.recommendations,
    )


def named_runs(text: str) -> tuple[str, tuple[Path, ...]]:
    """Return name and run folders of ``NAME=FOLDER``, of which each is a seed.

    Raises:
        InputError: If there is no name, or the folders are not of one model.
    """
    name, separator, folders = text.partition("=")
    if not separator:
        raise InputError(f"{text}: a run is given as NAME=FOLDER")
    return name, find_runs(folders)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="xrec report",
        description="Print NDCG@10 of tested runs overall, by domain and by popularity, with "
        "paired bootstrap intervals of the difference to one of them. Runs of one config that "
        "differ by seed are one row with mean and deviation: train and test each seed in a folder "
        "of its own (`xrec fit --config=C --seed_everything=1 --data.init_args.seed=1 "
        "--trainer.default_root_dir=runs/c/seed_1`, then `xrec test` with the same options; in a "
        "pipeline, a stage with `each: {seed: ['0', '1', '2']}`) and name them all: "
        "NAME='runs/c/seed_*'.",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="NAME=FOLDER",
        help="name and folder of a run; folders of several seeds with commas between, or a pattern",
    )
    parser.add_argument("--baseline", metavar="NAME", help="run to compare with; the first one")
    parser.add_argument(
        "--twins",
        nargs="+",
        default=[],
        metavar="DOMAIN=FOLDER",
        help="runs trained on one domain alone; the gain over each of them is shown",
    )
    parser.add_argument("--joint", metavar="NAME", help="run to compare with the twins; the last")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures, an object a run")
    parser.add_argument("--html", type=Path, metavar="FILE", help="page with tables and plots")
    parser.add_argument(
        "--recommendations", type=Path, metavar="FILE", help="parquet file to show in the page"
    )
    return parser
