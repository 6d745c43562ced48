"""Rows that say where they stand."""

from pathlib import Path

import polars as pl
import pytest

from xrec_lightning.data.config.tables import InteractionsConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.findings import Finding
from xrec_lightning.data.raw.kinds import SourceFile
from xrec_lightning.data.raw.readers import read_interactions
from xrec_lightning.data.report.table import (
    KEY,
    MAX_EXAMPLE,
    KeyedTable,
    Located,
    collect_all,
    first_key,
    key_log,
    key_rows,
    read_examples,
    read_values,
)

SECOND = 2**32
"""Key of the first row of the second file."""


def finding(column: str | None = None) -> Finding:
    return Finding("info", "code", "message", "remedy", 1, 1.0, column)


@pytest.fixture
def log(tmp_path: Path) -> KeyedTable:
    header = "user_id,item_id,timestamp\n"
    files = [SourceFile(tmp_path / name, name) for name in ("b.csv", "a.csv")]
    files[0].path.write_text(header + "u,a,1\nu,b,soon\n")
    files[1].path.write_text(header + f"jo@shop.org,{'c' * 200},3\n")
    return key_log(read_interactions(files, InteractionsConfig(path="-")), files)


def test_keys_count_files_in_their_order(log: KeyedTable) -> None:
    assert log.rows.collect()[KEY].to_list() == [0, 1, SECOND]
    assert log.columns == ["user_id", "item_id", "timestamp", "domain"]


def test_examples_have_file_row_and_value(log: KeyedTable) -> None:
    located = [
        Located(finding("item_id"), 0),
        Located(finding("timestamp"), 1),
        Located(finding("domain"), 0),
        Located(finding("user_id"), SECOND),
        Located(finding("item_id"), SECOND),
        Located(finding(), None),
    ]
    found = read_examples(log, located)
    assert [(each.file, each.row, each.example) for each in found] == [
        ("b.csv", 0, "a"),
        ("b.csv", 1, "soon"),
        ("b.csv", 0, "user_id=u, item_id=a, timestamp=1"),
        ("a.csv", 0, "j***@***.org"),
        ("a.csv", 0, "c" * (MAX_EXAMPLE - 1) + "…"),
        (None, None, None),
    ]


def test_nothing_is_read_without_keys(tmp_path: Path) -> None:
    rows = pl.scan_csv(tmp_path / "gone.csv")
    assert read_examples(KeyedTable(rows, [], []), [Located(finding(), None)]) == [finding()]


def test_values_are_by_key(log: KeyedTable) -> None:
    assert read_values(log, [SECOND, 0], "user_id") == {0: "u", SECOND: "jo@shop.org"}


def test_rows_of_tables_are_numbered_by_file() -> None:
    frames = [pl.LazyFrame({"item_id": ["a", "b"]}), pl.LazyFrame({"item_id": ["c"], "n": [1]})]
    files = [SourceFile(Path(name), name) for name in ("a.csv", "b.csv")]
    table = key_rows(frames, files, ["item_id"])
    assert table.rows.select("item_id", KEY).collect().rows() == [("a", 0), ("b", 1), ("c", SECOND)]


def test_least_key_is_first() -> None:
    assert first_key(pl.Series([3, 1, 2], dtype=pl.UInt64)) == 1
    assert first_key(pl.Series([], dtype=pl.UInt64)) is None


def test_broken_row_is_named_by_file_and_line(tmp_path: Path) -> None:
    files = [SourceFile(tmp_path / name, name) for name in ("a.csv", "b.csv")]
    files[0].path.write_text("item_id\na\n")
    files[1].path.write_text("item_id\na\nb,c\n")
    frames = [pl.scan_csv(file.path) for file in files]
    table = key_rows(frames, files, ["item_id"])
    with pytest.raises(InputError, match=r"b\.csv: line 3 "):
        collect_all([table.rows], [table])


def test_other_errors_name_all_files(log: KeyedTable) -> None:
    bad = log.rows.select(pl.col("item_id").cast(pl.Int64))
    with pytest.raises(InputError, match=r"b\.csv, a\.csv: cannot be read"):
        collect_all([bad], [log])
