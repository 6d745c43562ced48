import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.files import find_files
from xrec_lightning.data.raw.kinds import SourceFile

Write = Callable[[str, str | bytes], SourceFile]


def test_globs_and_lists_follow_each_other_once(write: Write, tmp_path: Path) -> None:
    files = [write(name, "x") for name in ("b.csv", "a1.csv", "a2.csv")]
    assert find_files([files[0].name, f"{tmp_path}/a*.csv", f"{tmp_path}/*.csv"]) == files


def test_a_file_with_brackets_is_no_glob(write: Write) -> None:
    file = write("log[1].csv", "x")
    assert find_files(file.name) == [file]


def test_variables_are_expanded(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write("log.csv", "x")
    monkeypatch.setenv("XREC_DATA", str(tmp_path))
    assert find_files("${XREC_DATA}/log.csv") == [file]
    monkeypatch.setenv("XREC_DATA", f"file://{tmp_path}")
    assert find_files("${XREC_DATA}/log.csv") == [file]
    monkeypatch.delenv("XREC_DATA")
    with pytest.raises(InputError, match="variable XREC_DATA is not set"):
        find_files("${XREC_DATA}/log.csv")


def test_variables_may_hold_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    system = MemoryFileSystem()
    system.pipe("/expanded/log.csv", b"one")
    monkeypatch.setenv("XREC_DATA", "memory://expanded")
    (file,) = find_files("${XREC_DATA}/log.csv")
    assert file.name == "memory://expanded/log.csv"
    assert file.path.read_bytes() == b"one"
    system.rm("/expanded", recursive=True)


def test_two_files_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(address: str) -> list[SourceFile]:
        return [SourceFile(Path(address), "https://host/log.csv")]

    monkeypatch.setattr("xrec_lightning.data.raw.files.fetch", fetch)
    addresses = [f"https://host/log.csv?version={number}" for number in (1, 2)]
    with pytest.raises(InputError, match=r"https://host/log\.csv: two files have this address"):
        find_files(addresses)


@pytest.mark.parametrize("name", ["none.csv", "none*.csv"])
def test_a_path_without_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\*?\.csv: no such file"):
        find_files(str(tmp_path / name))


def test_an_address_without_file_is_refused() -> None:
    with pytest.raises(FileNotFoundError, match=r"memory://nowhere/\*\.csv: no such file"):
        find_files("memory://nowhere/*.csv")


def save_data_set(folder: Path) -> list[Path]:
    """Write what `Dataset.save_to_disk` writes."""
    folder.mkdir(parents=True)
    names = [f"data-0000{part}-of-00002.arrow" for part in range(2)]
    for name in names:
        pl.DataFrame({"item_id": [1]}).write_ipc_stream(folder / name)
    state = {"_data_files": [{"filename": name} for name in names], "_split": "train"}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")
    return [folder / name for name in names]


def test_a_saved_data_set_stands_for_its_files(tmp_path: Path) -> None:
    paths = save_data_set(tmp_path / "set")
    assert find_files(str(tmp_path / "set")) == [SourceFile(path, str(path)) for path in paths]


def test_a_data_set_of_splits_names_them(tmp_path: Path) -> None:
    for split in ("train", "test"):
        save_data_set(tmp_path / "set" / split)
    (tmp_path / "set" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(InputError, match=r"several splits.*set/train, .*set/test"):
        find_files(str(tmp_path / "set"))


@pytest.mark.parametrize("state", ["{", "{}", "[]", '{"_data_files": [1]}'])
def test_a_broken_state_is_refused(tmp_path: Path, state: str) -> None:
    save_data_set(tmp_path / "set")
    (tmp_path / "set" / "state.json").write_text(state)
    with pytest.raises(InputError, match="set: the state of this data set cannot be read"):
        find_files(str(tmp_path / "set"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["_SUCCESS", "a.parquet", "b.parquet"], r"a folder; .*/set/\*\.parquet"),
        (["a.csv.gz"], r"/set/\*\.csv\.gz"),
        ([], "it has no files"),
    ],
)
def test_other_folders_say_to_use_a_glob(tmp_path: Path, names: list[str], message: str) -> None:
    (tmp_path / "set").mkdir()
    for name in names:
        (tmp_path / "set" / name).touch()
    with pytest.raises(InputError, match=message):
        find_files(str(tmp_path / "set"))
