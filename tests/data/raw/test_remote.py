from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.remote import fetch, is_address, public_name


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    system = MemoryFileSystem()
    system.pipe({"/shop/a.csv": b"one", "/shop/b.csv": b"two", "/shop/old/c.csv": b"three"})
    yield system
    system.rm("/shop", recursive=True)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("s3://shop/log.csv", True),
        ("zip://log.csv::all.zip", True),
        ("log.csv", False),
        ("folder//log.csv", False),
        ("a b://log.csv", False),
    ],
)
def test_addresses_are_told_from_paths(path: str, expected: bool) -> None:
    assert is_address(path) is expected


def test_a_file_is_copied_under_its_name(memory: MemoryFileSystem, cache: Path) -> None:
    (file,) = fetch("memory://shop/a.csv")
    assert file.name == "memory://shop/a.csv"
    assert file.path.name == "a.csv"
    assert file.path.is_relative_to(cache)
    assert file.path.read_bytes() == b"one"


def test_a_file_is_copied_once_until_it_changes(
    memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = []
    get_file = MemoryFileSystem.get_file

    def count(system: MemoryFileSystem, path: str, local: str) -> None:
        copied.append(path)
        get_file(system, path, local)

    monkeypatch.setattr(MemoryFileSystem, "get_file", count)
    assert fetch("memory://shop/a.csv") == fetch("memory://shop/a.csv")
    assert copied == ["/shop/a.csv"]
    memory.pipe("/shop/a.csv", b"new")
    assert fetch("memory://shop/a.csv")[0].path.read_bytes() == b"new"
    assert len(copied) == 2


def test_a_glob_names_files_in_order(memory: MemoryFileSystem) -> None:
    files = fetch("memory://shop/*")
    assert [file.name for file in files] == ["memory:///shop/a.csv", "memory:///shop/b.csv"]
    assert [file.path.read_bytes() for file in files] == [b"one", b"two"]
    assert fetch("memory://shop/*.txt") == []


def test_a_file_with_a_question_mark_is_no_glob(memory: MemoryFileSystem) -> None:
    memory.pipe("/shop/a?.csv", b"odd")
    (file,) = fetch("memory://shop/a?.csv")
    assert file.path.name == "a?.csv"
    assert file.path.read_bytes() == b"odd"


def test_members_of_an_archive_are_addresses_too(tmp_path: Path) -> None:
    archive = tmp_path / "all.zip"
    with ZipFile(archive, "w") as target:
        target.writestr("x.csv", "one")
        target.writestr("y.csv", "two")
    (file,) = fetch(f"zip://x.csv::{archive}")
    assert file.name == f"zip://x.csv::{archive}"
    assert file.path.read_text() == "one"
    assert [each.name for each in fetch(f"zip://*.csv::{archive}")] == [
        f"zip://{name}.csv::{archive}" for name in "xy"
    ]


def test_a_missing_file_and_a_folder_are_refused(memory: MemoryFileSystem) -> None:
    with pytest.raises(FileNotFoundError, match=r"memory://shop/none\.csv: no such file"):
        fetch("memory://shop/none.csv")
    with pytest.raises(InputError, match=r"shop: a folder; .*shop/\*\.parquet"):
        fetch("memory://shop")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImportError("Install s3fs to access S3"), "the package of this protocol is missing.*s3fs"),
        (ValueError("Protocol not known: s9"), "Protocol not known: s9"),
    ],
)
def test_protocols_that_cannot_be_opened_are_explained(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(address: str) -> None:
        raise error

    monkeypatch.setattr("xrec_lightning.data.raw.remote.url_to_fs", fail)
    with pytest.raises(InputError, match=f"s3://shop/log.csv: {message}"):
        fetch("s3://shop/log.csv")


def test_a_copy_that_fails_names_the_address_and_leaves_nothing(
    memory: MemoryFileSystem, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(system: MemoryFileSystem, path: str, local: str) -> None:
        Path(local).write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setattr(MemoryFileSystem, "get_file", fail)
    with pytest.raises(InputError, match=r"memory://shop/a\.csv: .*No space left.*XREC_CACHE"):
        fetch("memory://shop/a.csv")
    assert not list(cache.rglob("a.csv"))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("s3://key:secret@shop/log?.csv", "s3://shop/log?.csv"),
        ("https://host/log.csv?sig=1", "https://host/log.csv"),
        ("memory://log.csv", "memory://log.csv"),
    ],
)
def test_secrets_stay_out_of_names(address: str, expected: str) -> None:
    assert public_name(address) == expected
