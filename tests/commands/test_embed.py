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


def test_unknown_option_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", "--dataset=a", "--output=b", "--poling=cls"]) == 1
    assert "unknown key poling; did you mean `pooling`?" in capsys.readouterr().err
