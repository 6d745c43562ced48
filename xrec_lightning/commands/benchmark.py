"""``xrec benchmark``: a named protocol for all its models, and its committed figures."""

import hashlib
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import yaml

from xrec_lightning.atomic import write_text
from xrec_lightning.commands.report import read_request
from xrec_lightning.commands.run import run_pipeline
from xrec_lightning.data.errors import InputError, suggest
from xrec_lightning.pipeline import Done, Pipeline, read_done
from xrec_lightning.reports.benchmark import (
    BenchmarkTable,
    Cost,
    build_result,
    to_markdown,
    write_benchmark_page,
    write_result,
)

FOLDER = Path("configs/benchmark")
RESULTS = "results"


def main(arguments: Sequence[str]) -> Path | None:
    """Run a benchmark, write its figures, and return its folder; without a name list them.

    Raises:
        InputError: If there is no such benchmark, or it makes no table.
    """
    options = _parser().parse_args(arguments)
    benchmarks = find_benchmarks(FOLDER)
    if options.name is None:
        for name, path in benchmarks.items():
            sys.stdout.write(f"{name:<28} {first_comment(path)}\n")
        return None
    if options.name not in benchmarks:
        remark = suggest(options.name, benchmarks) if benchmarks else f"{FOLDER} holds none"
        raise InputError(f"no benchmark is named {options.name}; {remark}")
    path = benchmarks[options.name]
    pipeline = run_pipeline(path, only=options.only, is_dry=options.dry_run)
    if options.dry_run:
        return None
    output = Path(pipeline.output)
    done = {stage.name: read_done(pipeline.folder(stage.name)) for stage in pipeline.stages}
    if missing := [name for name, each in done.items() if each is None]:
        sys.stdout.write(f"{len(missing)} stages are missing, such as {missing[0]}: no figures\n")
        return output
    tables = collect_tables(pipeline, {name: each for name, each in done.items() if each})
    if not tables:
        raise InputError(f"{path}: no stage runs `report`: its rows are the table of a benchmark")
    key = hashlib.sha256(path.read_bytes()).hexdigest()
    result = build_result(options.name, key, tables)
    write_result(result, options.json or FOLDER / RESULTS / f"{options.name}.json")
    markdown = to_markdown(result)
    write_text(markdown, output / "benchmark.md")
    sys.stdout.write("\n" + markdown)
    write_benchmark_page(options.name, tables, options.html or output / "benchmark.html")
    return output


def find_benchmarks(folder: Path) -> dict[str, Path]:
    """Return the pipeline files of a folder by name; overlays for configs are none."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and "stages" in content:
            found[path.stem] = path
    return found


def first_comment(path: Path) -> str:
    """Return what the first line of a file says, if it is a comment."""
    line = path.read_text(encoding="utf-8").partition("\n")[0]
    return line.lstrip("# ") if line.startswith("#") else ""


def collect_tables(pipeline: Pipeline, done: dict[str, Done]) -> list[BenchmarkTable]:
    """Return what each `report` stage of a finished pipeline compares, and what its runs took."""
    outputs = {name: Path(each.output) for name, each in done.items()}
    costs = {
        outputs[stage.name]: Cost(done[stage.name].seconds, stage.trials)
        for stage in pipeline.stages
    }
    tables = []
    for stage in pipeline.stages:
        for command, *words in stage.lines(outputs):
            if command == "report":
                request = read_request(words)
                table = BenchmarkTable(
                    name=stage.name,
                    runs=request.runs,
                    baseline=request.baseline,
                    costs=costs,
                    joint=request.joint,
                    twins=request.twins,
                )
                tables.append(table)
    return tables


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="xrec benchmark",
        description=f"Run the pipeline {FOLDER}/NAME.yaml; a stage whose commands, configs and "
        "inputs are those of its last finished run is skipped, so that a stopped benchmark goes "
        "on. Then write the figures of its `report` stages: means and deviations over seeds, "
        "intervals against the baseline row, wall time, tuning trials. Without a name, list what "
        "there is.",
    )
    parser.add_argument("name", nargs="?", help="name of the benchmark")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="STAGE",
        help="run these stages, or those that a pattern fits; the others are as they are",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be run")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help=f"figures; {FOLDER}/{RESULTS}/NAME.json"
    )
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="page; benchmark.html in the output folder"
    )
    return parser
