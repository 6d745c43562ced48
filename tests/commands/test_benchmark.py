"""``xrec benchmark``: found by name, run through the pipeline, its figures written."""

import json
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from tests.commands.test_run import BASELINE
from xrec_lightning.__main__ import main

PIPELINE = """# Popularity on a tiny log; seconds.
output: {folder}/out
stages:
  - name: prepare
    command: prepare
    args: [{dataset}]
  - name: popularity_{{seed}}
    command: [fit, test]
    config: {folder}/baseline.yaml
    args: ["--data.init_args.dataset=${{prepare}}", "--data.init_args.seed={{seed}}"]
    each: {{seed: [0, 1]}}
    trials: 3
  - name: table
    command: report
    args: ["popularity=${{popularity_*}}", "one=${{popularity_1}}"]
"""


class Inline:
    """Runs a job at once, in this process."""

    def __init__(self, **_: object) -> None:
        pass

    def __enter__(self) -> "Inline":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, job: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(job(*arguments))
        return future


@pytest.fixture
def folder(tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with one benchmark and one overlay; stages run in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr("xrec_lightning.commands.run.ProcessPoolExecutor", Inline)
    (tmp_path / "baseline.yaml").write_text(BASELINE)
    benchmarks = tmp_path / "configs" / "benchmark"
    benchmarks.mkdir(parents=True)
    text = PIPELINE.format(folder=tmp_path, dataset=tiny_dataset)
    (benchmarks / "tiny.yaml").write_text(text)
    (benchmarks / "short.yaml").write_text("trainer: {max_epochs: 1}\n")
    return tmp_path


def test_a_benchmark_writes_its_figures_and_resumes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    assert main(["benchmark", "tiny", "--only", "prepare", "popularity_0"]) == 0
    assert "2 stages are missing, such as popularity_1: no figures" in capsys.readouterr().out
    assert not (folder / "configs/benchmark/results").exists()
    assert main(["benchmark", "tiny"]) == 0
    output = capsys.readouterr().out
    assert "[2/4] popularity_0 … skipped (unchanged)" in output
    assert "| model | all (" in output
    text = (folder / "configs/benchmark/results/tiny.json").read_text()
    assert str(folder) not in text
    (table,) = json.loads(text)["tables"]
    both, one = table["rows"]
    assert (both["seeds"], both["trials"], one["seeds"]) == (2, 3, 1)
    figures = json.loads((folder / "out/popularity_1/metrics.json").read_text())
    assert one["metrics"]["ndcg@10"]["mean"] == figures["test/ndcg@10"]
    assert both["slices"][0]["std"] == 0  # popularity knows no chance
    assert "benchmark.md" in {path.name for path in (folder / "out").iterdir()}
    assert "Benchmark tiny" in (folder / "out/benchmark.html").read_text()


def test_benchmarks_are_listed_and_found_by_name(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["benchmark"]) == 0
    assert capsys.readouterr().out.split(maxsplit=1) == [
        "tiny",
        "Popularity on a tiny log; seconds.\n",
    ]
    assert main(["benchmark", "tinny"]) == 1
    assert "no benchmark is named tinny; did you mean `tiny`?" in capsys.readouterr().err
    assert main(["benchmark", "tiny", "--only", "popularty_0"]) == 1
    assert "no stage is popularty_0; did you mean `popularity_0`?" in capsys.readouterr().err
    assert main(["benchmark", "tiny", "--dry-run"]) == 0
    assert "xrec report popularity=" in capsys.readouterr().out


def test_a_benchmark_without_a_table_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "configs/benchmark/tiny.yaml"
    text = path.read_text()
    path.write_text(text[: text.index("  - name: popularity")])
    assert main(["benchmark", "tiny"]) == 1
    assert "no stage runs `report`: its rows are the table" in capsys.readouterr().err
