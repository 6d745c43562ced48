"""``xrec compare``."""

import json
from pathlib import Path

import pytest

from xrec_lightning.__main__ import main


def test_difference_is_printed_and_written(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "difference.json"
    folders = [str(runs["sequence"]), str(runs["knowledge"])]
    assert main(["compare", *folders, f"--json={path}", "--resamples=50"]) == 0
    assert "ndcg@10" in capsys.readouterr().out
    table = json.loads(path.read_text())["table"]
    overall = next(row for row in table if row["metric"] == "ndcg@10" and row["slice"] == "all")
    figures = [json.loads((Path(f) / "metrics.json").read_text())["test/ndcg@10"] for f in folders]
    assert overall["left"] == pytest.approx(figures[0], abs=1e-6)
    assert overall["difference"] == pytest.approx(figures[1] - figures[0], abs=1e-6)


def test_untested_run_is_refused(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(runs["sequence"]), str(tmp_path)]) == 1
    assert "test the run first" in capsys.readouterr().err
