"""``xrec prepare``."""

from pathlib import Path

import pytest

from xrec_lightning.__main__ import main


def test_folder_is_printed_and_reused(
    tiny_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = []
    for _ in range(2):
        assert main(["prepare", str(tiny_dataset)]) == 0
        folders.append(capsys.readouterr().out.strip())
    assert folders[0] == folders[1]
    assert (Path(folders[0]) / "manifest.json").is_file()


def test_unknown_key_names_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "data.yaml"
    path.write_text("interactons: {path: log.csv}")
    assert main(["prepare", str(path)]) == 1
    assert "unknown key `interactons`; did you mean `interactions`?" in capsys.readouterr().err
