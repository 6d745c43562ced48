from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw import kinds
from xrec_lightning.data.raw.kinds import SourceFile, ending, open_bytes

Write = Callable[[str, str | bytes], SourceFile]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("log.csv", ".csv"),
        ("log.v2.tsv.gz", ".tsv"),
        ("log.jsonl.zst", ".jsonl"),
        ("log.parquet", ".parquet"),
        ("log.parquet.gz", ".gz"),
        ("log.gz", ".gz"),
        ("log", ""),
    ],
)
def test_the_ending_tells_the_kind(name: str, expected: str) -> None:
    assert ending(name) == expected


def test_bytes_are_decompressed_by_what_they_are(write: Write) -> None:
    for file in (write("a.csv", "x"), write("a.csv.gz", "x")):
        with open_bytes(file) as raw:
            assert raw.read() == b"x"
    named_only = write("b.csv", "x")
    with open_bytes(SourceFile(named_only.path.rename(f"{named_only.path}.gz"), "")) as raw:
        assert raw.read() == b"x"


def test_zst_needs_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv.zst"
    pl.LazyFrame({"a": [1]}).sink_csv(path, compression="zstd")
    file = SourceFile(path, "a.csv.zst")
    monkeypatch.setattr(kinds, "compr", {})
    with pytest.raises(InputError, match=r"a\.csv\.zst: .*pip install zstandard"):
        open_bytes(file)
    monkeypatch.setattr(kinds, "compr", {"zstd": lambda raw, mode: raw})
    with open_bytes(file) as raw:
        assert raw.read() == path.read_bytes()
