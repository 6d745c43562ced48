"""``xrec validate-data``: what is in the tables of a data YAML, and what is wrong with them."""

import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from xrec_lightning.atomic import write_text
from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.report.facts import report_json
from xrec_lightning.data.report.inspect import inspect_data
from xrec_lightning.data.report.render import render_report


def main(arguments: Sequence[str]) -> None:
    """Print the report on a data YAML.

    Raises:
        InputError: If `prepare` would refuse the data; it names the errors of the report.
    """
    options = _parser().parse_args(arguments)
    config = load_config(options.config)
    report = inspect_data(config, now=int(time.time()), top=options.top)
    if options.json is not None:
        write_text(report_json(report, str(options.config)), options.json)
    Console().print(render_report(report, options.top))
    errors = [finding for finding in report.findings if finding.severity == "error"]
    if errors:
        codes = ", ".join(finding.code for finding in errors)
        raise InputError(f"{options.config}: `xrec prepare` would refuse these data: {codes}")


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="xrec validate-data",
        description="Print what the tables of a data YAML hold and what is wrong with them, each "
        "fault with its first row, an example and the remedy. Ends with status 1 where "
        "`xrec prepare` would refuse the data.",
    )
    parser.add_argument("config", type=Path, help="data YAML, such as configs/data/*.yaml")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON too")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="rows of each list")
    return parser
