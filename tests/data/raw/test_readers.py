import json
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.config.tables import InteractionsConfig, LinksConfig, TriplesConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.files import find_files
from xrec_lightning.data.raw.kinds import SourceFile
from xrec_lightning.data.raw.readers import (
    raw_name,
    read_interactions,
    read_links,
    read_log,
    read_table,
    read_triples,
)

Write = Callable[[str, str | bytes], SourceFile]

CSV = "uid,iid,when\n01,a,100\n02,b,200\n"
JSON = '{"uid":"01","iid":"a","when":100}\n{"uid":"02","iid":"b","when":200}\n'
ATOMIC = CSV.replace(",", "\t").replace("uid\tiid\twhen", "uid:token\tiid:token\twhen:float")
MAPPING = {"user_id": "uid", "item_id": "iid", "timestamp": "when"}


def read(files: Sequence[SourceFile], **settings: object) -> pl.DataFrame:
    config = InteractionsConfig(path=[file.name for file in files], **settings)  # type: ignore[arg-type]
    return read_interactions(files, config).collect()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("log.csv", CSV),
        ("log.csv.gz", CSV),
        ("log.tsv", CSV.replace(",", "\t")),
        ("log.jsonl", JSON),
        ("log.ndjson.gz", JSON),
        ("log.inter", ATOMIC),
    ],
)
def test_every_text_format_gives_the_same_log(write: Write, name: str, text: str) -> None:
    file = write(name, text)
    log = read([file], columns=MAPPING)
    assert log.with_columns(pl.col("source").cast(pl.String)).to_dict(as_series=False) == {
        "source": [file.name] * 2,
        "row": [0, 1],
        "user_id": ["01", "02"],
        "item_id": ["a", "b"],
        "timestamp": [100, 200],
        "value": [None, None],
        "domain": [None, None],
    }


def test_parquet_with_dates_is_read(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user_id": [7], "item_id": [1.0], "timestamp": ["1970-01-02"]})
    path = tmp_path / "log.parquet"
    frame.with_columns(pl.col("timestamp").str.to_date()).write_parquet(path)
    log = read([SourceFile(path, str(path))])
    assert log.select("user_id", "item_id", "timestamp", "value").row(0) == ("7", "1", 86_400, None)


def test_a_saved_data_set_is_read(tmp_path: Path) -> None:
    names = ["data-0.arrow", "data-1.arrow"]
    for user, name in enumerate(names):
        frame = pl.DataFrame({"user_id": [user], "item_id": ["a"], "timestamp": [5], "rating": [4]})
        frame.write_ipc_stream(tmp_path / name)
    state = {"_data_files": [{"filename": name} for name in names]}
    (tmp_path / "state.json").write_text(json.dumps(state))
    log = read(find_files(str(tmp_path)))
    assert log.select("user_id", "timestamp", "rating").rows() == [("0", 5, 4.0), ("1", 5, 4.0)]
    assert log["source"].cast(pl.String).to_list() == [str(tmp_path / name) for name in names]


def test_movielens_ratings_need_no_mapping(write: Write) -> None:
    log = read([write("ratings.dat", "1::1193::5::978300760\n")])
    columns = log.select("user_id", "item_id", "rating", "timestamp")
    assert columns.row(0) == ("1", "1193", 5.0, 978300760)


def test_files_without_names_are_mapped_by_number(write: Write) -> None:
    mapping = {"user_id": "column_1", "item_id": "column_2", "timestamp": "column_3"}
    log = read([write("clicks.dat", "1::7::100\n")], columns=mapping)
    assert log.select("user_id", "item_id", "timestamp").row(0) == ("1", "7", 100)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "no column `user_id`; .*The file has: uid, itm_id, when"),
        ({"user_id": "uid", "timestamp": "when"}, r"no column `item_id`; did you mean `itm_id`\?"),
        (
            {**MAPPING, "item_id": "itm_id", "domain": "shop"},
            r"no column `shop` \(mapped to `domain`\)",
        ),
    ],
)
def test_missing_columns_are_named(write: Write, columns: dict[str, str], message: str) -> None:
    file = write("log.csv", "uid,itm_id,when\n1,a,2\n")
    with pytest.raises(InputError, match=rf"log\.csv: {message}"):
        read_interactions([file], InteractionsConfig(path=file.name, columns=columns))


def test_unreadable_values_become_null_and_keep_their_text(write: Write) -> None:
    text = "user_id,item_id,timestamp,rating\n1,a,soon,NaN\n,b,3,x\n2,,4,1.5\n3,c,,\n"
    log = read([write("log.csv", text)])
    assert log["timestamp"].to_list() == [None, 3, 4, None]
    assert log["value"].to_list() == ["soon", None, None, None]
    assert log["user_id"].to_list() == ["1", None, "2", "3"]
    assert log["item_id"].to_list() == ["a", "b", None, "c"]
    assert log["rating"].to_list() == [None, None, 1.5, None]


def test_unreadable_times_of_other_types_are_texts_too(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    frame = pl.DataFrame({"user_id": [1, 2], "item_id": [1, 2], "timestamp": [5.5, float("nan")]})
    frame.write_parquet(path)
    assert read([SourceFile(path, "log")])["value"].to_list() == [None, "NaN"]


@given(times=st.lists(st.sampled_from(["1700000000", "2023-11-14", "x", "", " 7 "]), min_size=1))
def test_a_value_stands_exactly_where_a_text_is_no_time(
    tmp_path_factory: pytest.TempPathFactory, times: list[str]
) -> None:
    path = tmp_path_factory.mktemp("times") / "log.csv"
    path.write_text("user_id,item_id,timestamp\n" + "".join(f"u,i,{time}\n" for time in times))
    log = read([SourceFile(path, "log.csv")])
    expected = {"1700000000": 1_700_000_000, "2023-11-14": 1_699_920_000, " 7 ": 7}
    assert log["timestamp"].to_list() == [expected.get(time) for time in times]
    assert log["value"].to_list() == [time if time == "x" else None for time in times]


def test_file_order_counts_rows_through_all_files(write: Write) -> None:
    files = [write(f"{name}.csv", "user_id,item_id\n1,a\n1,b\n") for name in "xa"]
    log = read(files, order="file")
    assert log["timestamp"].to_list() == [0, 1, 2, 3]
    assert log["timestamp"].dtype == pl.Int64
    assert log["value"].to_list() == [None] * 4
    assert log["source"].cast(pl.String).to_list() == [file.name for file in files for _ in "ab"]
    config = InteractionsConfig(path="", order="file")
    sources = pl.Enum([file.name for file in files])
    second = read_log(files[1], config, sources, first_row=2).collect()
    assert second.equals(log[2:].select(second.columns))


def test_files_may_differ_in_kind_and_optional_columns(write: Write) -> None:
    first = write("a.csv", "user_id,item_id,timestamp,rating\n1,a,1,3\n")
    second = write("b.jsonl", '{"user_id":1,"item_id":"b","timestamp":2,"event":"view"}\n')
    log = read([first, second])
    assert log["rating"].to_list() == [3.0, None]
    assert log["event"].to_list() == [None, "view"]


def test_tables_keep_ids_as_text_and_other_columns_by_type(write: Write) -> None:
    file = write("items.csv", "asin,price,title,item_id\n007,1.5,Tea,x\n,2,None,y\n")
    table = read_table([file], {"item_id": "asin"}, "item_id", ["title"]).collect()
    assert table.to_dicts() == [
        {"item_id": "007", "price": 1.5, "title_raw": "Tea", "item_id_raw": "x"}
    ]


def test_tables_of_mixed_types_hold_both(write: Write, tmp_path: Path) -> None:
    first = write("a.csv", "item_id,price,size\n1,2,4\n")
    second = write("b.jsonl", '{"item_id":"x","price":2.5,"size":"XL","tags":["a","b"]}\n')
    assert read_table([first, second], {}, "item_id", []).collect().to_dicts() == [
        {"item_id": "1", "price": 2.0, "size": "4", "tags": None},
        {"item_id": "x", "price": 2.5, "size": "XL", "tags": ["a", "b"]},
    ]


def test_tables_are_read_in_their_encoding(write: Write) -> None:
    file = write("users.csv", "user_id,city\n1,Köln\n".encode("latin1"))
    table = read_table([file], {}, "user_id", ["city"], "latin1").collect()
    assert table.rows() == [("1", "Köln")]


def test_a_used_domain_stays_a_column_of_its_own(write: Write) -> None:
    file = write("items.csv", "item_id,domain\n1,tea\n")
    table = read_table([file], {}, "item_id", ["domain"]).collect()
    assert table.to_dicts() == [{"item_id": "1", "domain": "tea", "domain_raw": "tea"}]


def test_a_missing_text_column_is_refused(write: Write) -> None:
    file = write("items.csv", "item_id,title\n1,Tea\n")
    with pytest.raises(InputError, match="no column `titl`; did you mean `title`"):
        read_table([file], {}, "item_id", ["titl"])


def test_only_our_names_are_marked_raw() -> None:
    assert [raw_name(name) for name in ("text", "brand")] == ["text_raw", "brand"]


def test_triples_are_texts_with_domain_and_weight(write: Write) -> None:
    full = write("a.csv", "h,relation,tail,domain,weight\n007,made_by,8,tea,0.5\n1,is,,x,much\n")
    atomic = write("b.kg", "head_id:token\trelation_id:token\ttail_id:token\nm.1\tr.1\tm.2\n")
    columns = ("head", "relation", "tail", "domain", "weight", "source", "row")
    first = read_triples([full], TriplesConfig(path="", columns={"head": "h"})).collect()
    assert first.columns == list(columns)
    assert first.drop("source").rows() == [
        ("007", "made_by", "8", "tea", 0.5, 0),
        ("1", "is", None, "x", None, 1),
    ]
    plain = write("c.csv", "head,relation,tail\n1,is,2\n")
    both = read_triples([atomic, plain], TriplesConfig(path="")).collect()
    assert both.with_columns(pl.col("source").cast(pl.String)).rows() == [
        ("m.1", "r.1", "m.2", None, None, atomic.name, 0),
        ("1", "is", "2", None, None, plain.name, 0),
    ]
    with pytest.raises(InputError, match=r"c\.csv: no column `h` \(mapped to `head`\)"):
        read_triples([plain], TriplesConfig(path="", columns={"head": "h"}))


def test_links_are_of_users_unless_they_say_otherwise(write: Write) -> None:
    kinds = write("a.csv", "left_id,right_id,kind\n1,2,item\n3,4,\n5,6,user \n")
    plain = write("b.csv", "left_id,right_id\n7,8\n")
    atomic = write("c.link", "item_id:token\tentity_id:token\n9\tm.9\n")
    links = read_links([kinds, plain, atomic], LinksConfig(path="")).collect()
    assert links.select("left_id", "right_id", "kind", "row").rows() == [
        ("1", "2", "item", 0),
        ("3", "4", "user", 1),
        ("5", "6", "user", 2),
        ("7", "8", "user", 0),
        ("9", "m.9", "item", 0),
    ]


def test_another_kind_of_link_is_refused(write: Write) -> None:
    file = write("a.csv", "left_id,right_id,kind\n1,2,item\n3,4,shop\n")
    with pytest.raises(InputError, match=r"a\.csv: row 1: the kind is 'shop'; write `user` or `it"):
        read_links([file], LinksConfig(path=""))


def test_a_column_may_be_called_row(write: Write) -> None:
    log = write("a.csv", "user_id,item_id,timestamp,row\nu,a,1,9\nu,b,2,9\n")
    assert read([log])["row"].to_list() == [0, 1]
    links = write("b.csv", "left_id,right_id,row\n1,2,9\n")
    assert read_links([links], LinksConfig(path="")).collect()["row"].to_list() == [0]


def test_triples_that_cannot_be_read_name_the_line(write: Write) -> None:
    file = write("a.csv", "head,relation,tail\na,b,c\na,b,c,d\n")
    with pytest.raises(InputError, match=r"a\.csv: line 3 has 4 fields"):
        read_triples([file], TriplesConfig(path=""))


def test_links_that_cannot_be_read_name_the_line(write: Write) -> None:
    file = write("a.csv", "left_id,right_id,kind\n1,2,item\n3,4,item,5\n")
    with pytest.raises(InputError, match=r"a\.csv: line 3 has 4 fields"):
        read_links([file], LinksConfig(path=""))
