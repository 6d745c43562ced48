"""``xrec run``: the stages of a pipeline, each command in a process of its own."""

import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stdout
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import NamedTuple

from xrec_lightning.data.errors import InputError, suggest
from xrec_lightning.dispatch import run_command
from xrec_lightning.pipeline import (
    DONE_FILE,
    OUTPUT_FILE,
    Done,
    Pipeline,
    Stage,
    load_pipeline,
    match_stages,
    read_done,
    stage_key,
)

SELF_CHECKING = ("prepare",)
"""Commands that find out themselves whether their inputs have changed; they always run."""

OUTPUT_WIDTH = 160
"""Columns of the tables in a stage's output."""


def main(arguments: Sequence[str]) -> Path:
    """Run the stages of a pipeline that have changed and return its folder."""
    options = _parser().parse_args(arguments)
    pipeline = run_pipeline(
        options.pipeline, first=options.first, only=options.only, is_dry=options.dry_run
    )
    return Path(pipeline.output)


def run_pipeline(
    path: Path, *, first: str | None = None, only: Sequence[str] = (), is_dry: bool = False
) -> Pipeline:
    """Run the stages of a pipeline file that have changed, show its results and return it.

    Args:
        path: The pipeline file.
        first: Stage from which on all are run, changed or not.
        only: Names, or patterns of names, of the stages that are run, changed or not; the others
            stay as they are, and nothing is shown. All by default.
        is_dry: Whether to print what would be run only.

    Raises:
        InputError: If no stage has such a name.
    """
    pipeline = load_pipeline(path)
    names = [stage.name for stage in pipeline.stages]
    for pattern in ([] if first is None else [first], only):
        for name in pattern:
            if not match_stages(name, names):
                raise InputError(f"{path}: no stage is {name}; {suggest(name, names)}")
    chosen = [name for pattern in only for name in match_stages(pattern, names)]
    _run_stages(pipeline, _Choice(first, chosen or None, is_dry))
    if not is_dry and not chosen:
        _show(pipeline)
    return pipeline


class _Choice(NamedTuple):
    """Which stages of a pipeline are run."""

    first: str | None
    only: list[str] | None
    is_dry: bool


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="xrec run",
        description="Run the stages of a pipeline file. A stage is skipped when its commands, its "
        "config files, the package version and what it reads are those of its last finished run.",
    )
    parser.add_argument("pipeline", type=Path, help="YAML file with the stages")
    parser.add_argument("--from", dest="first", metavar="STAGE", help="run this and all later ones")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="STAGE",
        help="run these, or those that a pattern fits; the others are as they are",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be run")
    return parser


def _run_stages(pipeline: Pipeline, choice: _Choice) -> None:
    finished: dict[str, Done] = {}
    is_forced = False
    for position, stage in enumerate(pipeline.stages, start=1):
        folder = pipeline.folder(stage.name)
        title = f"[{position}/{len(pipeline.stages)}] {stage.name}"
        is_forced = is_forced or stage.name == choice.first
        done = read_done(folder)
        if choice.only is not None and stage.name not in choice.only:
            if done is not None:
                finished[stage.name] = done
            continue
        if missing := [name for name in stage.needs if name not in finished]:
            raise InputError(f"stage {stage.name} reads {missing[0]}, which is not finished")
        key = stage_key(stage, {name: finished[name] for name in stage.needs})
        is_same = done is not None and done.key == key and choice.only is None and not is_forced
        if is_same and done is not None and not set(stage.commands) & set(SELF_CHECKING):
            finished[stage.name] = done
            _say(f"{title} … skipped (unchanged)")
        elif choice.is_dry:
            finished[stage.name] = Done(key, 0.0, str(folder) if done is None else done.output)
            outputs = {name: Path(each.output) for name, each in finished.items()}
            _say(f"{title} … would run")
            for line in stage.lines({**outputs, stage.name: folder}):
                _say("    xrec " + " ".join(line))
        else:
            finished[stage.name] = _run_stage(stage, folder, key, finished, title)


def _run_stage(stage: Stage, folder: Path, key: str, finished: dict[str, Done], title: str) -> Done:
    """Run a stage and leave ``done.json``; there is none while it runs or after it has failed."""
    (folder / DONE_FILE).unlink(missing_ok=True)
    (folder / OUTPUT_FILE).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    outputs = {name: Path(done.output) for name, done in finished.items()}
    _say(f"{title} …")
    start = time.monotonic()
    output = folder
    for line in stage.lines({**outputs, stage.name: folder}):
        # A process of its own also rids a command of the process group of the one before it.
        with ProcessPoolExecutor(max_workers=1, mp_context=_process_context(stage)) as process:
            job = process.submit(_run_line, sys.argv[0], line, folder / OUTPUT_FILE)
            try:
                output = job.result() or folder
            except BrokenProcessPool as error:
                raise ChildProcessError(
                    f"stage {stage.name}: `xrec {line[0]}` was killed, perhaps for want of memory"
                ) from error
    done = Done(key, round(time.monotonic() - start, 1), str(output))
    done.write(folder)
    _say(f"{title} … {done.seconds:.0f} s")
    return done


def _process_context(stage: Stage) -> BaseContext:
    """Return how the process of a stage starts: from one that holds the slow imports, if it can."""
    is_light = set(stage.commands) <= set(SELF_CHECKING)
    if is_light or "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["xrec_lightning.cli"])
    return context


def _run_line(program: str, words: list[str], output: Path) -> Path | None:
    # A launcher of several processes starts them with the command line that it finds here.
    sys.argv = [program, *words]
    os.environ.setdefault("COLUMNS", str(OUTPUT_WIDTH))
    with output.open("a", encoding="utf-8") as file, redirect_stdout(file):
        return run_command(words)


def _show(pipeline: Pipeline) -> None:
    for name in pipeline.show:
        text = (pipeline.folder(name) / OUTPUT_FILE).read_text(encoding="utf-8")
        _say("\n" + text.rstrip())


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
