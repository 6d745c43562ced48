"""Files that are broken, elsewhere, or not what they are called."""

import gzip
import io
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.prepared import Prepared

Refuse = Callable[..., None]
Accept = Callable[..., Prepared]

HEADER = "user_id,item_id,domain,timestamp\n"
LOG = HEADER + "u,a,x,1\nu,b,y,2\nu,c,x,3\n"
LONG = LOG + "w,a,x,1\n" * 200_000
"""More than is looked at before reading."""


def parquet(**columns: list[object]) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file)
    return file.getvalue()


def overwrite(content: bytes, start: int, size: int) -> bytes:
    return content[:start] + b"\xff" * size + content[start + size :]


WHOLE = parquet(user_id=["u"] * 3, item_id=["a", "b", "c"], timestamp=[1, 2, 3])
NESTED = parquet(user_id=[["u"]], item_id=["a"], timestamp=[1])
NO_TIMES = parquet(user_id=["u"], item_id=["a"], timestamp=[True])
MANY = [7919 * number % 5000 for number in range(5000)]
PAGES = parquet(user_id=[f"u{each}" for each in MANY], item_id=MANY, timestamp=MANY)
ZIPPED = gzip.compress(LOG.encode() * 50)
ENCODING = "name the file's encoding in the YAML, as `encoding: latin1`"
QUOTES = "write each quote twice"
WHOLENESS = "see whether the file is whole, and of the kind that its ending tells"

REFUSED = {
    "wrong type": ("log.parquet", NESTED, "`user_id`", "List(String)", "write one row a value"),
    "times of no kind": ("log.parquet", NO_TIMES, "row 0 of log.parquet", "'true'", "correct the"),
    "nested json": (
        "log.jsonl",
        '{"user_id": {"a": 1}, "item_id": 2, "timestamp": 3}\n',
        "`user_id`",
        "Struct",
        "write one row a value",
    ),
    "missing column": (
        "log.csv",
        LOG.replace("item_id", "itm_id"),
        "no column `item_id`",
        "did you mean `itm_id`?",
        "name the right one in the YAML, under `columns.item_id`",
    ),
    "no times": ("log.csv", "user_id,item_id\nu,a\n", "`timestamp`", "user_id, item_id", "name"),
    "other separator": ("log.csv", LOG.replace(",", ";"), "`user_id`", "';'", ".csv files need"),
    "a name twice": ("log.csv", LOG.replace("domain", "item_id"), "two", "`item_id`", "rename"),
    "latin1": ("log.csv", LOG.replace("u,", "ü,").encode("latin1"), "line 2", "0xfc", ENCODING),
    "latin1 far down": (
        "log.csv",
        (LONG + "w,é,x,5\n").encode("latin1"),
        "line 200005",
        "0xe9",
        ENCODING,
    ),
    "utf-16 with mark": ("log.csv", LOG.encode("utf-16"), "log.csv", "UTF-16", "save it in UTF-8"),
    "open quote": ("log.csv", LOG + 'w,"a,x,1\n', "line 5", "quote that does not close", QUOTES),
    "quote in a field": ("log.csv", LOG + 'w,a"b,x,1\n', "line 5", "does not close", QUOTES),
    "too many fields": ("log.csv", LOG + "w,a,x,1,9\n", "line 5", "5 fields", "in quotes"),
    "empty": ("log.csv", "", "log.csv", "the file is empty", "give another"),
    "header only": ("log.csv", HEADER, "log.csv", "no rows", "`interactions.path` another file"),
    "no rows in parquet": (
        "log.parquet",
        parquet(user_id=[], item_id=[], timestamp=[]),
        "log.parquet",
        "no rows",
        "`interactions.path` another file",
    ),
    "blank lines": ("log.csv", "\n\n\n", "log.csv", "empty CSV", WHOLENESS),
    "parquet cut": ("log.parquet", WHOLE[:-40], "log.parquet", "out of specification", WHOLENESS),
    "parquet with bad pages": (
        "log.parquet",
        overwrite(PAGES, 2000, 500),
        "log.parquet",
        "out of specification",
        WHOLENESS,
    ),
    "text as parquet": ("log.parquet", LOG, "log.parquet", "must end with PAR1", WHOLENESS),
    "parquet as text": ("log.csv", WHOLE, "log.csv: line", "which is not UTF-8", "`encoding"),
    "gz cut": ("log.csv.gz", ZIPPED[:-30], "log.csv.gz", "end too early", "is the copy complete"),
    "gz damaged": ("log.csv.gz", ZIPPED[:-8] + bytes(8), ".gz", "CRC", "copy the file again"),
    "zst of nothing": (
        "log.csv.zst",
        b"\x28\xb5\x2f\xfd" + b"x" * 40,
        "log.csv.zst",
        "Unsupported frame",
        WHOLENESS,
    ),
    "wrong ending": ("log.xlsx", b"PK", "log.xlsx", "unknown kind", "known: .parquet, .arrow"),
    "no ending": ("log", LOG, "log: ", "unknown kind", "known: .parquet, .arrow"),
    "cut json": (
        "log.jsonl",
        '{"user_id": 1, "item_id": 2, "timestamp": 3}\n{"user_id":\n',
        "log.jsonl: line 2",
        "is no JSON",
        "each line holds one object",
    ),
    "json array": ("log.jsonl", "[1, 2]\n", "line 1", "no JSON object", 'one, as {"user_id": 1}'),
    "no separator in dat": ("log.dat", "u,a,1\n", "line 1", "'u,a,1'", "is named .tsv"),
}

PATHS = {
    "missing file": ("none.csv", "none.csv", "no such file", "(from the path `none.csv`)"),
    "glob of nothing": ("'logs/*.csv'", "logs/*.csv", "no such file", "from the path"),
    "unset variable": ("$NOT_SET/a.csv", "$NOT_SET/a.csv", "NOT_SET is not", "`export NOT_SET="),
    "folder": (".", ".: a folder", "", "name its files by a glob, as ./*."),
    "no path": ("[]", "interactions.path", "[]", "give files, globs or addresses"),
    "unknown protocol": ("nowhere://a.csv", "nowhere://a.csv", "nowhere", "Protocol not known"),
    "second file lacks a column": ("[log.csv, users.csv]", "users.csv", "`item_id`", "name the"),
}

ACCEPTED = {
    "utf-8 with mark": LOG.encode("utf-8-sig"),
    "lines of Windows": LOG.replace("\n", "\r\n").encode(),
    "not zipped at all": LOG.encode(),
    "column called row": LOG.replace("domain", "row").encode(),
    "columns of our steps": LOG.replace("domain", "order").encode(),
}


@pytest.mark.parametrize(
    ("name", "content", "where", "value", "remedy"), REFUSED.values(), ids=REFUSED
)
def test_broken_files_are_refused(
    refuse: Refuse, name: str, content: str | bytes, where: str, value: str, remedy: str
) -> None:
    refuse({name: content}, f"interactions: {{path: {name}}}", name, where, value, remedy)


@pytest.mark.parametrize(("path", "where", "value", "remedy"), PATHS.values(), ids=PATHS)
def test_paths_of_nothing_are_refused(
    refuse: Refuse, path: str, where: str, value: str, remedy: str
) -> None:
    refuse({}, f"interactions: {{path: {path}}}", where, value, remedy)


@pytest.mark.parametrize("content", ACCEPTED.values(), ids=ACCEPTED)
def test_odd_files_are_read(accept: Accept, content: bytes) -> None:
    prepared = accept({"log.csv": content}, "interactions: {path: log.csv}")
    assert prepared.users()["user_id"].to_list() == ["u"]
    assert prepared.items()["item_id"].to_list() == ["a", "b", "c"]
    assert prepared.times.tolist() == [1, 2, 3]


def test_text_without_compression_may_be_called_gz(accept: Accept) -> None:
    prepared = accept({"log.csv.gz": LOG}, "interactions: {path: log.csv.gz}")
    assert np.array_equal(prepared.times, [1, 2, 3])


def test_a_named_encoding_is_read(accept: Accept) -> None:
    log = LOG.replace("u,", "ü,").encode("latin1")
    prepared = accept({"log.csv": log}, "interactions: {path: log.csv, encoding: latin1}")
    assert prepared.users()["user_id"].to_list() == ["ü"]


def test_another_encoding_than_named_is_refused(refuse: Refuse) -> None:
    log = LOG.encode().replace(b"u,", b"\x81,")
    yaml = "interactions: {path: log.csv, encoding: cp1252}"
    refuse({"log.csv": log}, yaml, "log.csv", "0x81 is not cp1252", "name the file's own encoding")


def test_short_rows_are_rejected(accept: Accept) -> None:
    accept(
        {"log.csv": LOG + "w,a\nw\n"},
        "interactions: {path: log.csv}",
        {"timestamp cannot be read": 1, "item_id is null": 1},
    )
