"""Whole runs of `prepare` on broken inputs: what they say, and what they leave behind."""

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pytest

from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import prepare
from xrec_lightning.data.prepared import Prepared

Files = Mapping[str, str | bytes]

SOUND = {
    "log.csv": "user_id,item_id,domain,timestamp\n"
    "u,a,x,1\nu,b,y,2\nu,c,x,3\nv,c,x,1\nv,a,x,2\nv,b,y,3\n",
    "items.csv": "item_id,domain,title\na,x,Tea\nb,y,Pot\nc,x,\n",
    "users.csv": "user_id,age\nu,30\nv,40\n",
}
"""Files that a case may leave as they are."""
OUTPUT = Path("data/prepared")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder that holds the sound files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XREC_CACHE", str(tmp_path / "cache"))
    write(SOUND)


def write(files: Files) -> None:
    for name, content in files.items():
        Path(name).write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.fixture
def refuse(open_whole: Callable[[Path], list[Prepared]]) -> Callable[..., None]:
    """Return a function that checks which words an input is refused with, and that nothing stays.

    The words are the file or key, the value and the remedy.
    """

    def run(files: Files, yaml: str | bytes, *words: str) -> None:
        write({**files, "data.yaml": yaml})
        with pytest.raises((InputError, FileNotFoundError)) as error:
            prepare(load_config(Path("data.yaml")))
        message = str(error.value)
        assert [word for word in words if word not in message] == [], message
        assert open_whole(OUTPUT) == []

    return run


@pytest.fixture
def accept(open_whole: Callable[[Path], list[Prepared]]) -> Callable[..., Prepared]:
    """Return a function that prepares an input and checks which rows are rejected for what."""

    def run(files: Files, yaml: str, rejected: Mapping[str, int] | None = None) -> Prepared:
        write({**files, "data.yaml": yaml})
        folder = prepare(load_config(Path("data.yaml")))
        (prepared,) = open_whole(OUTPUT)
        assert prepared.folder == folder
        assert prepared.manifest["rejected"] == dict(rejected or {})
        dropped = pl.read_parquet(folder / "rejected.parquet")
        assert dict(dropped["reason"].value_counts().iter_rows()) == dict(rejected or {})
        # No row of the log disappears: it is there, or it is rejected.
        counted = {each["path"]: each["rows"] for each in prepared.manifest["inputs"]}
        rows = sum(each for each in counted.values() if each is not None)
        of_log = dropped["source"].is_in([path for path, each in counted.items() if each])
        kept = prepared.interactions().select(pl.len()).collect().item()
        assert kept + of_log.sum() == rows
        return prepared

    return run
