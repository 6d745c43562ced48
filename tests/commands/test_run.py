"""Running pipelines: what is skipped, what is run again, what a failure leaves."""

import json
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import yaml

from xrec_lightning.__main__ import main

BASELINE = """
model:
  class_path: xrec_lightning.modules.baseline.BaselineRecommender
  init_args:
    baseline: {class_path: xrec_lightning.models.baselines.popularity.PopularityConfig}
data:
  class_path: xrec_lightning.data.datamodules.behavior.BehaviorDataModule
  init_args: {max_seq_len: 1000}
trainer:
  {accelerator: cpu, logger: false, max_epochs: 1, enable_progress_bar: false}
"""


@pytest.fixture
def pipeline(tiny_dataset: Path, tmp_path: Path) -> Path:
    """Prepare, a popularity baseline and its table; the baseline's config lies beside it."""
    config = tmp_path / "baseline.yaml"
    config.write_text(BASELINE)
    stages = [
        {"name": "prepare", "command": "prepare", "args": [str(tiny_dataset)]},
        {
            "name": "popularity",
            "command": ["fit", "test"],
            "config": str(config),
            "args": ["--data.init_args.dataset=${prepare}"],
        },
        {"name": "table", "command": "report", "args": ["popularity=${popularity}"]},
    ]
    path = tmp_path / "pipeline.yaml"
    path.write_text(
        yaml.safe_dump({"output": str(tmp_path / "out"), "stages": stages, "show": ["table"]})
    )
    return path


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines about stages, without the times."""
    lines = capsys.readouterr().out.splitlines()
    return [line.rstrip("0123456789 s") for line in lines if line.startswith("[")]


def test_unchanged_stages_are_skipped_and_changed_ones_run_again(
    pipeline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(pipeline)]) == 0
    output = capsys.readouterr().out
    assert "[3/3] table" in output
    assert "NDCG@10" in output, "the table is shown at the end"
    out = pipeline.parent / "out"
    done = json.loads((out / "prepare" / "done.json").read_text())
    assert (Path(done["output"]) / "manifest.json").is_file()
    assert (out / "popularity" / "metrics.json").is_file()

    assert main(["run", str(pipeline)]) == 0
    output = capsys.readouterr().out
    assert output.count("skipped (unchanged)") == 2
    assert "NDCG@10" in output, "the table of a skipped stage is shown too"

    config = pipeline.parent / "baseline.yaml"
    config.write_text(config.read_text().replace("max_seq_len: 1000", "max_seq_len: 999"))
    assert main(["run", str(pipeline), "--dry-run"]) == 0
    assert [line for line in printed(capsys) if "would run" in line] == [
        "[1/3] prepare … would run",
        "[2/3] popularity … would run",
        "[3/3] table … would run",
    ]


def test_failed_stage_leaves_nothing_done_and_runs_again(
    pipeline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = pipeline.parent / "baseline.yaml"
    config.write_text(BASELINE.replace("max_seq_len", "max_seq_length"))
    assert main(["run", str(pipeline)]) == 1
    captured = capsys.readouterr()
    assert "unknown key data.init_args.max_seq_length; did you mean `max_seq_len`" in captured.err
    folder = pipeline.parent / "out" / "popularity"
    assert not (folder / "done.json").exists()
    assert not (pipeline.parent / "out" / "table").exists()
    config.write_text(BASELINE)
    assert main(["run", str(pipeline)]) == 0
    assert (folder / "done.json").is_file()
    assert main(["run", str(pipeline), "--from", "table"]) == 0
    assert printed(capsys)[-3:] == [
        "[2/3] popularity … skipped (unchanged)",
        "[3/3] table …",
        "[3/3] table …",
    ]


def test_killed_stage_leaves_nothing_done(
    pipeline: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["run", str(pipeline), "--only", "prepare"]) == 0
    done = pipeline.parent / "out" / "prepare" / "done.json"
    assert done.is_file()

    def killed(*_: object) -> Future[None]:
        future: Future[None] = Future()
        future.set_exception(BrokenProcessPool())
        return future

    monkeypatch.setattr(ProcessPoolExecutor, "submit", killed)
    assert main(["run", str(pipeline)]) == 1
    assert "stage prepare: `xrec prepare` was killed" in capsys.readouterr().err
    assert not done.exists()


def test_only_runs_one_stage_on_what_the_others_left(
    pipeline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(pipeline), "--only", "popularity"]) == 1
    assert "stage popularity reads prepare, which is not finished" in capsys.readouterr().err
    assert main(["run", str(pipeline), "--only", "prepare"]) == 0
    assert printed(capsys) == ["[1/3] prepare …", "[1/3] prepare …"]


def test_mistyped_stage_names_the_nearest(
    pipeline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(pipeline), "--only", "preparr"]) == 1
    assert "no stage is preparr; did you mean `prepare`?" in capsys.readouterr().err
