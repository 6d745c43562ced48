import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw import formats
from xrec_lightning.data.raw.formats import scan_log, scan_table
from xrec_lightning.data.raw.kinds import SourceFile

Write = Callable[[str, str | bytes], SourceFile]

TABLE = "id,n,title\n007,1,Tea\n8,2.5,\n"
LINES = '{"id":"007","n":1,"title":"Tea"}\n{"id":8,"n":2.5,"title":null}\n'
ATOMIC = "id:token\tn:float\ttitle:token\n007\t1\tTea\n8\t2.5\t\n"
MARK = "\ufeff"
TEXTS = [
    ("a.csv", TABLE),
    ("a.csv", MARK + TABLE),
    ("a.csv", TABLE.replace("\n", "\r\n")),
    ("a.csv.gz", TABLE),
    ("a.tsv", TABLE.replace(",", "\t")),
    ("a.jsonl", LINES),
    ("a.jsonl", MARK + LINES),
    ("a.ndjson", LINES + "\n"),
    ("a.ndjson.gz", LINES),
    ("a.item", ATOMIC),
    ("a.inter", MARK + ATOMIC),
    ("a.user.gz", ATOMIC),
]


@pytest.mark.parametrize(("name", "text"), TEXTS)
def test_texts_of_logs_stay_texts(write: Write, name: str, text: str) -> None:
    rows = scan_log(write(name, text)).collect()
    assert rows.to_dict(as_series=False) == {
        "id": ["007", "8"],
        "n": ["1", "2.5"],
        "title": ["Tea", None],
    }


@pytest.mark.parametrize(("name", "text"), TEXTS)
def test_tables_have_types_but_for_ids(write: Write, name: str, text: str) -> None:
    rows = scan_table(write(name, text), text_columns=["id"]).collect()
    assert rows.to_dict(as_series=False) == {
        "id": ["007", "8"],
        "n": [1.0, 2.5],
        "title": ["Tea", None],
    }


@pytest.mark.parametrize("scan", [scan_log, scan_table])
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_zst_is_read(tmp_path: Path, scan: Callable[..., pl.LazyFrame], ending: str) -> None:
    path = tmp_path / f"a.{ending}.zst"
    frame = pl.LazyFrame({"id": ["x", "y"]})
    if ending == "csv":
        frame.sink_csv(path, compression="zstd")
    else:
        frame.sink_ndjson(path, compression="zstd")
    assert scan(SourceFile(path, str(path))).collect().rows() == [("x",), ("y",)]


def write_binary(frame: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.stem == "file":
        frame.write_ipc(path)
    else:
        frame.write_ipc_stream(path)


@pytest.mark.parametrize("scan", [scan_log, scan_table])
@pytest.mark.parametrize("name", ["a.parquet", "file.arrow", "stream.arrow"])
def test_typed_files_keep_their_types(
    tmp_path: Path, scan: Callable[..., pl.LazyFrame], name: str
) -> None:
    frame = pl.DataFrame({"id": [7, 8, 9], "tags": [["a"], [], ["b", "c"]], "x": [0.5, None, 1.0]})
    write_binary(frame, tmp_path / name)
    rows = scan(SourceFile(tmp_path / name, name))
    assert rows.collect().equals(frame)
    some = rows.select("x", "id").filter(pl.col("id") > 7).head(1).collect(engine="streaming")
    assert some.rows() == [(None, 8)]


def test_lists_of_atomic_files_are_split(write: Write) -> None:
    text = "item_id:token\tclass:token_seq\tvector:float_seq\n1\tAction  Drama\t0.5 1\n2\t\t\n"
    assert scan_table(write("a.item", text)).collect().to_dicts() == [
        {"item_id": "1", "class": ["Action", "Drama"], "vector": [0.5, 1.0]},
        {"item_id": "2", "class": None, "vector": None},
    ]


def test_an_unknown_type_in_an_atomic_header_is_named(write: Write) -> None:
    with pytest.raises(InputError, match=r"a\.item: column `x:int` has no type.*`x:token`"):
        scan_table(write("a.item", "item_id:token\tx:int\n1\t2\n"))


def test_quotes_of_atomic_files_are_text(write: Write) -> None:
    rows = scan_log(write("a.inter", 'user_id:token\titem_id:token\n1\t"x\n')).collect()
    assert rows.rows() == [("1", '"x')]


def test_quoted_fields_hold_anything(write: Write) -> None:
    rows = scan_log(write("a.csv", 'id,title\n1,"Tea, ""green""\nloose"\n')).collect()
    assert rows.rows() == [("1", 'Tea, "green"\nloose')]


@pytest.mark.parametrize("wanted", [["id"], ["id", "late", "never"]])
def test_keys_of_late_json_lines_are_found_when_asked_for(
    write: Write, wanted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "_HEAD", 2)
    lines = [{"id": 1}, {"id": 2}, {"id": "x", "late": 1.5}]
    file = write("a.jsonl", "".join(f"{json.dumps(line)}\n" for line in lines))
    rows = scan_log(file, names=wanted).collect()
    late = {"late": [None, None, "1.5"]} if "late" in wanted else {}
    assert rows.to_dict(as_series=False) == {"id": ["1", "2", "x"], **late}


def test_whole_floats_of_json_are_whole_texts(write: Write) -> None:
    file = write("a.jsonl", '{"id":7.0}\n{"id":1700000000000.0}\n{"id":-3}\n')
    assert scan_log(file).collect()["id"].to_list() == ["7", "1700000000000", "-3"]


def test_another_encoding_is_read(write: Write) -> None:
    file = write("a.csv", "id,title\n1,thé\n".encode("latin1"))
    for scan in (scan_log, scan_table):
        assert scan(file, "latin1").collect()["title"].to_list() == ["thé"]


def test_movielens_files_are_read(write: Write) -> None:
    file = write("movies.dat", "1::Tea::A|B\n")
    assert scan_table(file).collect().row(0) == ("1", "Tea", ["A", "B"])


@pytest.mark.parametrize("scan", [scan_log, scan_table])
@pytest.mark.parametrize("name", ["log.xlsx", "log.parquet.gz", "log"])
def test_unknown_kinds_of_file_are_refused(
    write: Write, scan: Callable[..., pl.LazyFrame], name: str
) -> None:
    with pytest.raises(InputError, match=rf"{name}: unknown kind of file; known: \.parquet, "):
        scan(write(name, "x"))


@pytest.mark.parametrize("scan", [scan_log, scan_table])
@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl", "a.arrow", "a.inter", "a.dat"])
def test_empty_files_are_named(write: Write, scan: Callable[..., pl.LazyFrame], name: str) -> None:
    with pytest.raises(InputError, match=rf"{name}: the file is empty"):
        scan(write(name, ""))


@pytest.mark.parametrize("scan", [scan_log, scan_table])
@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_broken_binary_files_are_named(
    write: Write, scan: Callable[..., pl.LazyFrame], name: str
) -> None:
    with pytest.raises(InputError, match=rf"{name}: cannot be read"):
        scan(write(name, "id,title\n1,Tea\n"))


def test_nested_values_of_wanted_keys_stay_nested(write: Write) -> None:
    file = write("a.jsonl", '{"user_id": {"a": 1}, "tags": ["x"], "item_id": 2}\n')
    dtypes = scan_log(file, names=["user_id", "item_id"]).collect_schema()
    assert dtypes["user_id"].is_nested()
    assert dtypes["tags"] == dtypes["item_id"] == pl.String
