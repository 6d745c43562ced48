from pathlib import Path

import pytest

from xrec_lightning.data.raw.cache import cache_folder, cached


def test_the_folder_is_set_or_in_the_home(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("XREC_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "xrec"


def test_a_copy_is_made_once_and_anew_when_its_source_changes(cache: Path) -> None:
    first = cached("source", "1", "log.csv", lambda path: path.write_text("one"))
    again = cached("source", "1", "log.csv", lambda path: path.write_text("two"))
    assert first == again
    assert again.read_text() == "one"
    changed = cached("source", "2", "log.csv", lambda path: path.write_text("two"))
    assert changed.read_text() == "two"
    assert list(cache.rglob("log.csv")) == [changed]


def test_sources_of_one_name_are_kept_apart(cache: Path) -> None:
    made = [cached(each, "1", "log.csv", lambda path: path.touch()) for each in ("a", "b")]
    assert sorted(cache.rglob("log.csv")) == sorted(made)


def test_a_failed_copy_leaves_nothing(cache: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        cached("source", "1", "log.csv", fail)
    assert not list(cache.rglob("*.csv"))
    assert cached("source", "1", "log.csv", lambda path: path.write_text("whole")).exists()
