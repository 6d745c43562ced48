"""``xrec report``: many tested runs side by side, in the terminal, as JSON and as a page."""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from rich.console import Console

from xrec_lightning.data.errors import InputError
from xrec_lightning.reports.compare import comparison_table, write_comparison
from xrec_lightning.reports.remarks import list_remarks
from xrec_lightning.reports.run_report import write_report
from xrec_lightning.reports.tables import render_models


def main(arguments: Sequence[str]) -> None:
    """Print the comparison table of tested runs and write it as JSON and HTML.

    Raises:
        InputError: If a run is not given as ``NAME=FOLDER``.
    """
    options = _parser().parse_args(arguments)
    runs = dict(_named_folder(run) for run in options.runs)
    baseline = options.baseline or next(iter(runs))
    if baseline not in runs:
        raise InputError(f"--baseline {baseline}: no such run; there are {', '.join(runs)}")
    if options.json is not None:
        write_comparison(runs, options.json)
    if options.html is not None:
        lists = options.recommendations
        recommendations = None if lists is None else pl.read_parquet(lists)
        write_report(runs, options.html, recommendations, baseline=baseline)
    table = comparison_table(runs, baseline)
    Console().print(render_models(table, baseline, list_remarks(runs)))


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="xrec report",
        description="Print NDCG@10 of tested runs overall, by domain and by popularity, with "
        "paired bootstrap intervals of the difference to one of them.",
    )
    parser.add_argument("runs", nargs="+", metavar="NAME=FOLDER", help="name and folder of a run")
    parser.add_argument("--baseline", metavar="NAME", help="run to compare with; the first one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures, an object a run")
    parser.add_argument("--html", type=Path, metavar="FILE", help="page with tables and plots")
    parser.add_argument(
        "--recommendations", type=Path, metavar="FILE", help="parquet file to show in the page"
    )
    return parser


def _named_folder(run: str) -> tuple[str, Path]:
    name, separator, folder = run.partition("=")
    if not separator:
        raise InputError(f"{run}: a run is given as NAME=FOLDER")
    return name, Path(folder)
