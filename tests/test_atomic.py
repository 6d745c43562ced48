from pathlib import Path

import pytest

from xrec_lightning.atomic import atomic_path, write_text


def test_a_finished_block_leaves_only_the_file(tmp_path: Path) -> None:
    write_text("new", tmp_path / "deep" / "a.json")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.json"]
    assert (tmp_path / "deep" / "a.json").read_text() == "new"


def interrupt(path: Path) -> None:
    with atomic_path(path) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt


def test_an_interrupted_block_leaves_the_old_file(tmp_path: Path) -> None:
    write_text("old", tmp_path / "a.json")
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path / "a.json")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "old"


def test_the_temporary_file_keeps_the_suffix(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.csv") as partial:
        assert partial.suffix == ".csv"
        assert partial.parent == tmp_path
        partial.touch()
