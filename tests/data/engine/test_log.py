"""The log, parted by users."""

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest

from xrec_lightning.data.config.tables import InteractionsConfig
from xrec_lightning.data.engine.engines import LocalEngine
from xrec_lightning.data.engine.log import (
    LogFiles,
    ParsedLog,
    count_shards,
    find_bounds,
    open_log,
    part_log,
)
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.kinds import SourceFile

HEADER = "user_id,item_id,timestamp\n"
ENGINE = LocalEngine()

OpenFiles = Callable[..., LogFiles]


@pytest.fixture
def open_files(tmp_path: Path) -> OpenFiles:
    """Return a function of the texts of the files that opens the log."""

    def run(
        *texts: str,
        order: str = "time",
        users: pl.DataFrame | None = None,
        items: pl.DataFrame | None = None,
    ) -> LogFiles:
        files = []
        for number, text in enumerate(texts):
            path = tmp_path / f"log{number}.csv"
            path.write_text(text)
            files.append(SourceFile(path, path.name))
        return open_log(files, InteractionsConfig(path="-", order=order), users, items)

    return run


def part(log: LogFiles, folder: Path, num_shards: int) -> ParsedLog:
    return part_log(log, folder / "parts", num_shards, ENGINE)


def read(log: ParsedLog) -> list[list[str | None]]:
    """Return the users of the rows of each shard."""
    return [log.read(shard)["user_id"].to_list() for shard in range(log.num_shards)]


def test_columns_that_only_some_files_have_are_null_in_the_others(
    open_files: OpenFiles, tmp_path: Path
) -> None:
    log = open_files(
        "user_id,item_id,timestamp,rating\nb,i,1,4\n",
        "session_id,user_id,item_id,timestamp,domain\ns,a,i,2,x\n",
    )
    for num_shards in (1, 2):
        parted = part(log, tmp_path, num_shards)
        assert parted.num_shards == num_shards
        rows = pl.concat([parted.read(shard) for shard in range(num_shards)]).sort("user_id")
        columns = ["user_id", "rating", "session_id", "domain", "source", "row"]
        assert rows.select(columns).rows() == [
            ("a", None, "s", "x", "log1.csv", 0),
            ("b", 4.0, None, None, "log0.csv", 0),
        ]


def test_files_are_one_row_of_time_where_their_order_is_it(
    open_files: OpenFiles, tmp_path: Path
) -> None:
    texts = [f"user_id,item_id\n{rows}" for rows in ("b,1\na,2\n", "", "a,3\nb,4\na,5\n")]
    for num_shards in (1, 2):
        parted = part(open_files(*texts, order="file"), tmp_path, num_shards)
        rows = pl.concat([parted.read(shard) for shard in range(num_shards)]).sort("timestamp")
        assert rows["timestamp"].to_list() == [0, 1, 2, 3, 4]
        assert rows["item_id"].to_list() == ["1", "2", "3", "4", "5"]


def test_a_shard_holds_a_range_of_users_and_the_first_those_without_one(
    open_files: OpenFiles, tmp_path: Path
) -> None:
    users = ["c", "a", "", "b", "a", "d", "d", "d"]
    log = open_files(HEADER + "".join(f"{user},i,1\n" for user in users))
    parted = part(log, tmp_path, 3)
    # Two empty ones are told from one only after the reading.
    found = [sorted(user or "" for user in shard) for shard in read(parted)]
    assert found == [["", "a", "a"], ["b", "c"], ["d", "d", "d"]]


@pytest.mark.parametrize("num_shards", [1, 4])
def test_what_is_taken_is_read_for_the_last_time(
    open_files: OpenFiles, tmp_path: Path, num_shards: int
) -> None:
    parted = part(open_files(HEADER + "a,i,1\nb,i,2\nc,i,3\nd,i,4\n"), tmp_path, num_shards)
    for shard in range(parted.num_shards):
        rows = parted.read(shard)
        assert parted.take(shard).equals(rows)
        assert parted.read(shard).is_empty()
        assert parted.read(shard).schema == rows.schema
    assert list((tmp_path / "parts").rglob("*.parquet")) == []


@pytest.mark.parametrize("text", [HEADER, HEADER + "one,i,1\none,j,2\n", HEADER + ",i,1\n"])
def test_a_log_without_many_users_is_one_shard(
    open_files: OpenFiles, tmp_path: Path, text: str
) -> None:
    parted = part(open_files(text), tmp_path, 5)
    assert parted.num_shards == 1
    assert len(parted.read(0)) == text.count("\n") - 1
    assert parted.read(0).schema == part(open_files(text), tmp_path, 1).read(0).schema


def test_a_broken_row_is_named_in_one_shard_and_in_many(
    open_files: OpenFiles, tmp_path: Path
) -> None:
    log = open_files(HEADER + "a,i,1\n", HEADER + "b,i,2\nc,i,3,4\n")
    for num_shards in (1, 2):
        with pytest.raises(InputError, match=r"log1.csv: line 3 has 4 fields"):
            part(log, tmp_path, num_shards)


def test_linked_ids_are_replaced_and_the_given_ones_are_found(open_files: OpenFiles) -> None:
    columns = ["id", "canonical"]
    users = pl.DataFrame([("A", "a"), ("a", "a")], schema=columns, orient="row")
    items = pl.DataFrame([("i", "i"), ("j", "i")], schema=columns, orient="row")
    texts = (HEADER + "A,j,1\nb,k,2\n", HEADER + "a,j,1\n")
    log = open_files(*texts, users=users, items=items)
    rows = pl.concat([log.scan(index).collect() for index in range(2)])
    assert rows.select("user_id", "item_id").rows() == [("a", "i"), ("b", "k"), ("a", "i")]
    wanted = {"user_id": pl.Series(["A", "a", "z"]), "item_id": pl.Series(["i", "j"])}
    found = log.find_ids(wanted, ENGINE)
    assert sorted(found["user_id"]) == ["A", "a"]
    assert found["item_id"].to_list() == ["j"]


@pytest.mark.parametrize("linked", [False, True])
def test_hashes_take_the_place_of_users_and_of_those_linked_to_them(
    open_files: OpenFiles, linked: bool
) -> None:
    pairs = [("A", "a"), ("a", "a"), ("y", "x"), ("x", "x")]
    users = pl.DataFrame(pairs, schema=["id", "canonical"], orient="row") if linked else None
    log = open_files(HEADER + "A,j,1\nb,k,2\na,j,1\n,k,3\n", users=users)
    hidden = log.anonymous(b"0123456789abcdef", ENGINE)
    ids = hidden.scan(0).collect()["user_id"].to_list()
    assert (ids[0] == ids[2]) == linked
    assert len({*ids[:3]} & {"A", "a", "b"}) == 0
    assert all(each is not None and len(each) == 32 for each in ids[:3])
    assert not ids[3]
    counts = hidden.count_users(ENGINE)
    assert sorted(counts["_count"]) == ([1, 2] if linked else [1, 1, 1])


def counted(*counts: int) -> pl.DataFrame:
    users = [f"u{number}" for number in range(len(counts))]
    dtypes = {"user_id": pl.String, "_count": pl.UInt32}
    return pl.DataFrame({"user_id": users, "_count": counts}, schema=dtypes)


@pytest.mark.parametrize(
    ("counts", "num_shards", "bounds"),
    [
        ((1, 1, 1, 1), 2, ["u2"]),
        ((9, 1, 1, 1), 2, []),
        ((1, 1, 1, 9), 2, ["u3"]),
        ((1, 1, 9, 1), 3, ["u2"]),
        ((2, 2, 2), 9, ["u1", "u2"]),
        ((), 3, []),
    ],
)
def test_shards_have_about_as_many_rows(
    counts: Sequence[int], num_shards: int, bounds: list[str]
) -> None:
    assert find_bounds(counted(*counts), num_shards) == bounds


def test_the_number_of_shards_follows_the_size_of_the_files(tmp_path: Path) -> None:
    files = []
    for name, size in (("a.csv", 25_000), ("b.parquet", 5_000), ("c.csv.gz", 5_000)):
        (tmp_path / name).write_bytes(b"x" * size)
        files.append(SourceFile(tmp_path / name, name))
    assert count_shards(files, 1_000) == 2
    assert count_shards(files, 10**9) == 1
