import gzip
from pathlib import Path

import polars as pl
import pytest

from xrec_lightning.data.config.tables import InteractionsConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.readers import (
    find_files,
    raw_name,
    read_interactions,
    read_table,
    scan,
)

CSV = "uid,iid,when\n01,a,100\n02,b,200\n"
MAPPING = {"user_id": "uid", "item_id": "iid", "timestamp": "when"}


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def read(*files: Path, **settings: object) -> pl.DataFrame:
    config = InteractionsConfig(path=[str(path) for path in files], **settings)
    return read_interactions(files, config).collect()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("log.csv", CSV),
        ("log.csv.gz", CSV),
        ("log.tsv", CSV.replace(",", "\t")),
        ("log.jsonl", '{"uid":"01","iid":"a","when":100}\n{"uid":"02","iid":"b","when":200}\n'),
        ("log.jsonl.gz", '{"uid":"01","iid":"a","when":100}\n{"uid":"02","iid":"b","when":200}\n'),
    ],
)
def test_every_text_format_gives_the_same_log(tmp_path: Path, name: str, text: str) -> None:
    path = write(tmp_path / name, text)
    log = read(path, columns=MAPPING)
    assert log["user_id"].to_list() == ["01", "02"]
    assert log["item_id"].to_list() == ["a", "b"]
    assert log["timestamp"].to_list() == [100, 200]
    assert log["row"].to_list() == [0, 1]
    assert log["source"].cast(pl.String).unique().to_list() == [str(path)]
    assert log["domain"].null_count() == 2


def test_parquet_with_dates_is_read(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user_id": [7], "item_id": [1.0], "timestamp": ["1970-01-02"]})
    path = tmp_path / "log.parquet"
    frame.with_columns(pl.col("timestamp").str.to_date()).write_parquet(path)
    assert read(path).select("user_id", "item_id", "timestamp").row(0) == ("7", "1", 86_400)


def test_atomic_files_are_read_as_they_are(tmp_path: Path) -> None:
    text = 'user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t"x\t4.5\t10.0\n'
    log = read(write(tmp_path / "set.inter", text))
    assert log.select("user_id", "item_id", "rating", "timestamp").row(0) == ("1", '"x', 4.5, 10)


def test_globs_and_lists_follow_each_other_once(tmp_path: Path) -> None:
    names = ["b.csv", "a1.csv", "a2.csv"]
    files = [write(tmp_path / name, CSV) for name in names]
    found = find_files([str(files[0]), f"{tmp_path}/a*.csv", f"{tmp_path}/*.csv"])
    assert [path.name for path in found] == ["b.csv", "a1.csv", "a2.csv"]


def test_a_file_with_brackets_is_no_glob(tmp_path: Path) -> None:
    path = write(tmp_path / "log[1].csv", CSV)
    assert find_files(str(path)) == [path]
    assert len(read(path, columns=MAPPING)) == 2


def test_variables_are_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "log.csv", CSV)
    monkeypatch.setenv("XREC_DATA", str(tmp_path))
    assert find_files("${XREC_DATA}/log.csv") == [path]
    monkeypatch.delenv("XREC_DATA")
    with pytest.raises(InputError, match="variable XREC_DATA is not set"):
        find_files("${XREC_DATA}/log.csv")


def test_a_path_without_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        find_files(str(tmp_path / "none.csv"))


@pytest.mark.parametrize("columns", [{}, {"user_id": "uid", "timestamp": "when"}])
def test_a_missing_column_names_file_column_and_what_there_is(
    tmp_path: Path, columns: dict[str, str]
) -> None:
    path = write(tmp_path / "log.csv", "uid,itm_id,when\n1,a,2\n")
    with pytest.raises(InputError) as error:
        read(path, columns=columns)
    missing = "item_id" if columns else "user_id"
    assert f"{path}: no column `{missing}`" in str(error.value)
    assert "uid, itm_id, when" in str(error.value)
    assert "did you mean `itm_id`?" in str(error.value) or not columns


def test_a_mapped_optional_column_must_exist(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", CSV)
    with pytest.raises(InputError, match=r"no column `shop` \(mapped to `domain`\)"):
        read(path, columns={**MAPPING, "domain": "shop"})


def test_unreadable_values_become_null_and_keep_their_text(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "user_id,item_id,timestamp\n1,a,soon\n,b,3\n2,,4\n")
    log = read(path)
    assert log["timestamp"].to_list() == [None, 3, 4]
    assert log["value"].to_list() == ["soon", "3", "4"]
    assert log["user_id"].to_list() == ["1", None, "2"]
    assert log["item_id"].to_list() == ["a", "b", None]


def test_file_order_counts_rows_through_all_files(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.csv", "user_id,item_id\n1,a\n1,b\n") for name in "xa"]
    log = read(*files, order="file")
    assert log["timestamp"].to_list() == [0, 1, 2, 3]
    assert log["source"].cast(pl.String).to_list() == [str(path) for path in files for _ in "ab"]


def test_files_may_differ_in_optional_columns(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", "user_id,item_id,timestamp,rating\n1,a,1,3\n")
    second = write(tmp_path / "b.csv", "user_id,item_id,timestamp\n1,b,2\n")
    assert read(first, second)["rating"].to_list() == [3.0, None]


def test_unknown_kinds_of_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown kind of file"):
        scan(write(tmp_path / "log.xlsx", ""))


@pytest.mark.parametrize("name", ["log.parquet", "log.csv", "log.jsonl"])
def test_broken_files_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=name):
        scan(write(tmp_path / name, ""))


def test_tables_keep_ids_as_text_and_other_columns_by_type(tmp_path: Path) -> None:
    path = write(tmp_path / "items.csv", "asin,price,title,item_id\n007,1.5,Tea,x\n,2,None,y\n")
    table = read_table([path], {"item_id": "asin"}, "item_id", ["title"]).collect()
    assert table.to_dicts() == [
        {"item_id": "007", "price": 1.5, "title_raw": "Tea", "item_id_raw": "x"}
    ]


def test_a_used_domain_stays_a_column_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "items.csv", "item_id,domain\n1,tea\n")
    table = read_table([path], {}, "item_id", ["domain"]).collect()
    assert table.to_dicts() == [{"item_id": "1", "domain": "tea", "domain_raw": "tea"}]


def test_a_missing_text_column_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "items.csv", "item_id,title\n1,Tea\n")
    with pytest.raises(InputError, match="no column `titel`; did you mean `title`"):
        read_table([path], {}, "item_id", ["titel"])


def test_only_our_names_are_marked_raw() -> None:
    assert [raw_name(name) for name in ("text", "brand")] == ["text_raw", "brand"]
