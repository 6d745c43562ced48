"""``xrec embed``."""

from pathlib import Path

import pytest

from xrec_lightning.__main__ import main
from xrec_lightning.dispatch import run_command
from xrec_lightning.knowledge.store import KnowledgeStore


def test_store_is_written_and_returned(
    tiny_dataset: Path, tiny_language: str, tmp_path: Path
) -> None:
    options = [f"--dataset={tiny_dataset}", f"--model={tiny_language}"]
    folder = run_command(["embed", *options, f"--output={tmp_path / 'store'}"])
    assert folder == tmp_path / "store"
    assert KnowledgeStore.open(folder).dim == 16


def test_all_options_are_reached_from_the_command_line(
    tiny_dataset: Path, tiny_language: str, tmp_path: Path
) -> None:
    options = [f"--dataset={tiny_dataset}", f"--model={tiny_language}", "--kinds=[history]"]
    options += ["--until=test", "--history_titles=3", "--max_tokens=32", "--precision=int8"]
    options += ["--dim=8", "--dtype=int8", "--pooling=weighted", "--processes=1"]
    run_command(["embed", *options, f"--output={tmp_path / 'store'}"])
    store = KnowledgeStore.open(tmp_path / "store")
    assert store.dim == 8
    assert store.vectors("history", ["u00"]).norm().item() == pytest.approx(1, abs=0.02)
    assert store.description["pooling"] == "weighted"


def test_a_broken_store_is_one_line(
    tiny_dataset: Path, tiny_language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["embed", f"--dataset={tiny_dataset}", f"--model={tiny_language}"]
    words += [f"--output={tmp_path / 'store'}"]
    assert main(words) == 0
    (tmp_path / "store" / "index.parquet").write_bytes(b"no")
    capsys.readouterr()
    assert main(words) == 1
    line, hint = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path / 'store' / 'index.parquet'}: not readable")
    assert "xrec embed" in line
    assert "XREC_TRACEBACK" in hint


def test_unknown_option_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", "--dataset=a", "--output=b", "--poling=cls"]) == 1
    assert "unknown key poling; did you mean `pooling`?" in capsys.readouterr().err
