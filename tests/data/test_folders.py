import errno
import hashlib
import threading
from pathlib import Path

import pytest

from xrec_lightning.data import folders
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.folders import atomic_folder, file_hash


def build(folder: Path, text: str) -> bool:
    """Return whether the folder was built, with a file of this text."""
    with atomic_folder(folder) as temporary:
        if temporary is None:
            return False
        (temporary / "a.txt").write_text(text)
        assert not folder.exists()
    return True


def test_a_finished_folder_is_whole_and_alone(tmp_path: Path) -> None:
    assert build(tmp_path / "out" / "x", "new")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x"]
    assert (tmp_path / "out" / "x" / "a.txt").read_text() == "new"


def test_an_existing_folder_is_left_as_it_is(tmp_path: Path) -> None:
    build(tmp_path / "x", "old")
    assert not build(tmp_path / "x", "new")
    assert (tmp_path / "x" / "a.txt").read_text() == "old"


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "x"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    for parent in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(InputError, match=f"^{parent}: .*name another folder"):
            build(parent / "x", "new")
    assert (tmp_path / "out").read_text() == "a file"


def test_a_parent_that_may_not_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(folders, "mkdtemp", refuse)
    with pytest.raises(InputError, match=f"^{tmp_path}: .*Permission denied"):
        build(tmp_path / "x", "new")


def test_leftovers_of_killed_builds_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".tmp-dead").mkdir()
    (tmp_path / ".tmp-dead" / "half.npy").write_text("half")
    build(tmp_path / "x", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_second_builder_waits_and_reuses(tmp_path: Path) -> None:
    built: list[bool] = []
    with atomic_folder(tmp_path / "x") as temporary:
        assert temporary is not None
        other = threading.Thread(target=lambda: built.append(build(tmp_path / "x", "second")))
        other.start()
        other.join(timeout=0.2)
        assert other.is_alive()
        (temporary / "a.txt").write_text("first")
    other.join(timeout=5)
    assert built == [False]
    assert (tmp_path / "x" / "a.txt").read_text() == "first"


def test_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"tea")
    assert file_hash(tmp_path / "a") == hashlib.sha256(b"tea").hexdigest()
