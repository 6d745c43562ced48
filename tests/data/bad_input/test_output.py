"""Output folders that are full, shared, not writable, or left by a killed run."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from xrec_lightning.data import prepare as pipeline
from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.engine import writer, writing
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import prepare
from xrec_lightning.data.prepared import Prepared

Refuse = Callable[..., None]
Accept = Callable[..., Prepared]
OpenWhole = Callable[[Path], list[Prepared]]

ROOT = Path(__file__).parents[3]
OUTPUT = Path("data/prepared")
YAML = "interactions: {path: log.csv}\n"

KILLED = """
import sys, time
from pathlib import Path
from xrec_lightning.data import prepare as pipeline
from xrec_lightning.data.config.load import load_config

def stall(*arguments):
    print("half", flush=True)
    time.sleep(60)

setattr(pipeline, sys.argv[1], stall)
pipeline.prepare(load_config(Path("data.yaml")), rows_per_shard=1)
"""


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (pipeline, "open_inputs"),
        (writer.ArrayFile, "add"),
        (writing, "write_tables"),
        (pipeline, "write_manifest"),
    ],
    ids=["reading", "arrays", "tables", "manifest"],
)
def test_a_full_disk_is_named_and_leaves_nothing(
    refuse: Refuse,
    accept: Accept,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    name: str,
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(module, name, fail)
        refuse({}, YAML, str(OUTPUT), "no space is left", "under `output`")
    accept({}, YAML)


@pytest.mark.parametrize("step", ["clean_log", "write_frames"])
def test_a_killed_run_is_cleared_by_the_next(accept: Accept, step: str) -> None:
    Path("data.yaml").write_text(YAML)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", KILLED, step]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
    (leftover,) = OUTPUT.iterdir()
    assert leftover.name.startswith(".tmp-")
    assert list(leftover.rglob("*.parquet"))
    accept({}, YAML)


def test_runs_at_once_make_whole_folders_each_once(
    open_whole: OpenWhole, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def write_manifest(folder: Path, facts: dict[str, object]) -> None:
        made.append(facts["hash"])
        writer.write_manifest(folder, facts)

    monkeypatch.setattr(pipeline, "write_manifest", write_manifest)
    Path("data.yaml").write_text(YAML)
    config = load_config(Path("data.yaml"))
    configs = [config, config, replace(config, seed=1), config]
    with ThreadPoolExecutor(len(configs)) as pool:
        folders = list(pool.map(prepare, configs))
    assert folders[0] == folders[1] == folders[3] != folders[2]
    assert sorted(made) == sorted({folder.name for folder in folders})
    assert {each.folder for each in open_whole(OUTPUT)} == set(folders)


def test_a_broken_change_leaves_what_was_there(accept: Accept) -> None:
    prepared = accept({}, YAML)
    before = {path: path.stat().st_mtime_ns for path in prepared.folder.rglob("*")}
    Path("log.csv").write_text("user_id,item_id,timestamp\nu,a,soon\n")
    with pytest.raises(InputError, match="timestamp cannot be read"):
        prepare(load_config(Path("data.yaml")))
    assert list(OUTPUT.iterdir()) == [prepared.folder]
    assert {path: path.stat().st_mtime_ns for path in prepared.folder.rglob("*")} == before


def test_a_file_as_output_is_refused(refuse: Refuse) -> None:
    log = Path("log.csv").read_text()
    refuse({}, YAML + "output: log.csv", "log.csv", "File exists", "under `output`")
    refuse({}, YAML + "output: log.csv/out", "log.csv/out", "Not a directory", "under `output`")
    assert Path("log.csv").read_text() == log


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_that_may_not_be_written_is_refused(refuse: Refuse) -> None:
    OUTPUT.mkdir(parents=True, mode=0o500)
    refuse({}, YAML, str(OUTPUT), "Permission denied", "under `output`")


def test_rejected_rows_hold_where_they_came_from(accept: Accept) -> None:
    log = Path("log.csv").read_text() + "w,a,x,soon\n"
    prepared = accept({"log.csv": log}, YAML, {"timestamp cannot be read": 1})
    dropped = pl.read_parquet(prepared.folder / "rejected.parquet").to_dicts()
    assert dropped == [
        {
            "source": "log.csv",
            "row": 6,
            "reason": "timestamp cannot be read",
            "user_id": "w",
            "item_id": "a",
            "value": "soon",
        }
    ]
