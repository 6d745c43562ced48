"""``xrec report``."""

import json
import shutil
from pathlib import Path

import pytest

from xrec_lightning.__main__ import main


def test_table_json_and_page_are_written(
    runs: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("matplotlib")
    named = [f"{name}={folder}" for name, folder in runs.items()]
    files = [f"--json={tmp_path / 'all.json'}", f"--html={tmp_path / 'all.html'}"]
    assert main(["report", *named, *files, "--baseline=knowledge"]) == 0
    assert "difference to knowledge" in " ".join(capsys.readouterr().out.split())
    figures = json.loads((tmp_path / "all.json").read_text())
    assert list(figures) == list(runs)
    assert "test/ndcg@10" in figures["sequence"]
    assert "<html" in (tmp_path / "all.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs/a"], "runs/a: a run is given as NAME=FOLDER"),
        (["a=runs/a", "--baseline=b"], "--baseline b: no such run; there are a"),
    ],
)
def test_bad_arguments_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_seeds_are_one_row_and_twins_a_table(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(2):
        shutil.copytree(runs["sequence"], tmp_path / f"seed_{seed}")
    arguments = [f"knowledge={runs['knowledge']}", f"sequence={tmp_path}/seed_*"]
    assert main(["report", *arguments, "--twins", f"tea={runs['knowledge']}"]) == 0
    output = capsys.readouterr().out
    assert "± 0.0000" in output
    assert "NDCG@10 of sequence less that of the twin" in output
    assert main(["report", f"both={runs['knowledge']},{runs['sequence']}"]) == 1
    assert "are no seeds of one model: model.init_args.channels[0]" in capsys.readouterr().err
