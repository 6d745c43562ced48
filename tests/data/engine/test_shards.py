"""Any size of shards, any files and any order of their rows give the same folder."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.steps import CleanConfig, EventsConfig, SplitConfig
from xrec_lightning.data.config.tables import InteractionsConfig, ItemsConfig
from xrec_lightning.data.engine import shards
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import prepare
from xrec_lightning.data.prepared import Prepared

SameFolder = Callable[..., None]
MakeRich = Callable[..., PrepareConfig]

METHODS = ["leave_one_out", "last_n", "ratio", "global_time", "folds"]
COLDS: list[dict[str, Any]] = [
    {"cold_items": 0.3},
    {"cold_users": 0.3},
    {"cold_domain": "b", "cold_domain_users": 0.5},
    {"cold_items": 0.2, "cold_users": 0.2, "cold_domain": "a", "cold_domain_users": 0.3},
]
DAY = 86_400
IGNORED = ("source", "row", "config", "inputs", "hash", "protocol")
"""What tells which file a row is in."""


@pytest.mark.parametrize(
    ("method", "cold"),
    [*((method, {}) for method in METHODS), *zip(METHODS, COLDS, strict=False)],
    ids=str,
)
def test_many_shards_are_one_shard(
    make_rich: MakeRich, same_folder: SameFolder, tmp_path: Path, method: str, cold: dict[str, Any]
) -> None:
    split = SplitConfig(method=method, fold_days=3, val_share=0.2, test_share=0.2, **cold)
    config = make_rich(split=split)
    whole = prepare(config)
    parts = prepare(replace(config, output=str(tmp_path / "parts")), rows_per_shard=100)
    same_folder(whole, parts)
    assert Prepared.open(whole).manifest["rejected"]["timestamp cannot be read"] == 1


@pytest.mark.parametrize("by", ["all", "domain"])
@pytest.mark.parametrize("repeats", ["drop", "last", "keep"])
def test_cleaning_in_shards_is_cleaning(
    make_rich: MakeRich, same_folder: SameFolder, tmp_path: Path, by: str, repeats: str
) -> None:
    clean = CleanConfig(
        filters=["rating > 0", "user_id <> 'u7'"],
        last_days=15,
        max_per_hour=4,
        max_history=9,
        k_core=1,
        k_core_by=by,
        repeats=repeats,
    )
    config = make_rich(clean=clean)
    whole = prepare(config)
    parts = prepare(replace(config, output=str(tmp_path / "parts")), rows_per_shard=100)
    same_folder(whole, parts)
    reasons = Prepared.open(whole).manifest["rejected"]
    assert reasons["does not meet: user_id <> 'u7'"] > 0
    assert reasons["before the last 15 days"] > 0


ITEMS = ["1", "2", "10", "x y", "ü"]
ENOUGH = [
    (user, ITEMS[(day + number) % 5], "ab"[(day + number) % 2], str(day), "buy", "4")
    for number, user in enumerate(["ann", "cy", "f", "g", "h"])
    for day in range(5)
] + [("cy", "2", "a", "1", "no", "")]
"""Rows from which every split has targets."""
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bo", "", "cy", "dé", "e"]),
        st.sampled_from(["1", "10", "2", "x y", "ü", "", '"q,"']),
        st.sampled_from(["a", "a", "b", ""]),
        st.sampled_from(["0", "1", "2", "3", "4", "5", "soon", ""]),
        st.sampled_from(["buy", "view", "no", ""]),
        st.sampled_from(["1", "4", ""]),
    ),
    max_size=30,
).map(lambda rows: [*rows, *ENOUGH])
SPLIT = st.builds(
    SplitConfig,
    method=st.sampled_from(METHODS),
    fold_days=st.just(1),
    val_share=st.just(0.3),
    test_share=st.just(0.3),
    cold_items=st.sampled_from([0.0, 0.0, 0.4]),
    cold_users=st.sampled_from([0.0, 0.0, 0.4]),
    cold_domain=st.sampled_from([None, None, "a"]),
    cold_domain_users=st.just(0.6),
)
CLEAN = st.builds(
    CleanConfig,
    k_core=st.sampled_from([0, 0, 1, 2]),
    max_history=st.sampled_from([0, 4]),
    repeats=st.sampled_from(["drop", "last", "keep"]),
)


def write_and_prepare(
    folder: Path, parts: list[list[tuple[str, ...]]], rows_per_shard: int, **changes: Any
) -> Path:
    folder.mkdir()
    names = ["user_id", "item_id", "domain", "timestamp", "event", "rating"]
    paths = []
    for number, rows in enumerate(parts):
        paths.append(str(folder / f"log{number}.csv"))
        log = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
        stamps = pl.when(pl.col("timestamp").str.contains(r"^\d$")).then(
            (pl.col("timestamp").cast(pl.Int64, strict=False) * DAY).cast(pl.String)
        )
        log.with_columns(stamps.otherwise("timestamp").alias("timestamp")).write_csv(paths[-1])
    (folder / "items.csv").write_text("item_id,domain,title\n1,a,One\n2,b,Two\nü,,Three\nz,a,Zed\n")
    config = PrepareConfig(
        interactions=InteractionsConfig(path=paths),
        items=ItemsConfig(path=str(folder / "items.csv"), title="title", text=["title"]),
        events=EventsConfig(dislikes=["no"], dislike_below=2),
        output=str(folder / "prepared"),
        **changes,
    )
    try:
        return prepare(config, rows_per_shard=rows_per_shard)
    finally:
        left = [path for path in (folder / "prepared").glob("*") if path.name.startswith(".")]
        assert left == []


@settings(max_examples=12, deadline=None)
@given(rows=ROWS, split=SPLIT, clean=CLEAN, data=st.data())
def test_order_files_and_shards_change_nothing(
    same_folder: SameFolder,
    rows: list[tuple[str, ...]],
    split: SplitConfig,
    clean: CleanConfig,
    data: st.DataObject,
) -> None:
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(1, len(rows) - 1))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        kept = {"split": split, "clean": clean}
        try:
            whole = write_and_prepare(folder / "whole", [rows], 10**6, **kept)
        except InputError as error:
            whole = None
            message = str(error)
        split_rows = [shuffled[:cut], shuffled[cut:]]
        if whole is None:
            with pytest.raises(InputError) as caught:
                write_and_prepare(folder / "parts", split_rows, 8, **kept)
            # The file and the first row of it differ.
            assert str(caught.value).split(";")[0][:20] == message.split(";")[0][:20]
            return
        parts = write_and_prepare(folder / "parts", split_rows, 8, **kept)
        same_folder(whole, parts, IGNORED)


@settings(max_examples=12, deadline=None)
@given(rows=ROWS)
def test_leave_one_out_targets_are_those_of_a_plain_count(rows: list[tuple[str, ...]]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        clean = CleanConfig(repeats="keep")
        folder = write_and_prepare(Path(temporary) / "log", [rows], 8, clean=clean)
        prepared = Prepared.open(folder)
        found = {name: read_targets(prepared, name) for name in ("val", "test")}
        histories = read_histories(prepared)
    expected = expected_targets(rows)
    for name, targets in found.items():
        assert targets.keys() == expected[name].keys()
        for user, (item, day) in targets.items():
            days, items = expected[name][user]
            assert (day, item in items) == (days, True)
            assert histories[name][user] == expected_history(rows, user, day)


def read_targets(prepared: Prepared, name: str) -> dict[str, tuple[str, int]]:
    """Return item and day of the target of each user."""
    users, items = prepared.users()["user_id"], prepared.items()["item_id"]
    rows = prepared.targets(name).select("user_index", "item_index", "timestamp").rows()
    assert len({user for user, _, _ in rows}) == len(rows)
    return {users[user - 1]: (items[item - 1], time // DAY) for user, item, time in rows}


def read_histories(prepared: Prepared) -> dict[str, dict[str, list[tuple[int, str]]]]:
    """Return the history of the target of each user by split, days and items, sorted."""
    users, items = prepared.users()["user_id"], prepared.items()["item_id"]
    store = list(zip((prepared.times // DAY).tolist(), prepared.item_ids.tolist(), strict=True))
    histories: dict[str, dict[str, list[tuple[int, str]]]] = {}
    for name in ("val", "test"):
        columns = ("user_index", "history_start", "history_end")
        rows = prepared.targets(name).select(columns).rows()
        histories[name] = {
            users[user - 1]: sorted((day, items[item - 1]) for day, item in store[start:end])
            for user, start, end in rows
        }
    return histories


def usable(rows: list[tuple[str, ...]]) -> set[tuple[str, str, int, str, str, str]]:
    """Return what is left of the rows: user, item, day, domain, event, rating, each row once."""
    of_item = {"1": "a", "2": "b", "z": "a"}
    found = set()
    for user, item, domain, time, event, rating in rows:
        domain = domain or of_item.get(item, "")
        if not (user and item and domain and time.isdigit()):
            continue
        if event == "no" or (rating and float(rating) < 2):
            continue
        found.add((user, item, int(time), domain, event, rating))
    return found


def expected_targets(
    rows: list[tuple[str, ...]],
) -> dict[str, dict[str, tuple[int, set[str]]]]:
    """Return by split the day of each user's target and the items of that day."""
    events = usable(rows)
    targets: dict[str, dict[str, tuple[int, set[str]]]] = {"val": {}, "test": {}}
    for user in {event[0] for event in events}:
        days = sorted({event[2] for event in events if event[0] == user})
        places = {
            "test": days[-1:] if len(days) > 1 else [],
            "val": days[-2:-1] if len(days) > 2 else [],
        }
        for name, found in places.items():
            for day in found:
                items = {event[1] for event in events if event[0] == user and event[2] == day}
                targets[name][user] = (day, items)
    return targets


def expected_history(rows: list[tuple[str, ...]], user: str, day: int) -> list[tuple[int, str]]:
    return sorted((each[2], each[1]) for each in usable(rows) if each[0] == user and each[2] < day)


def test_ids_of_arrays_are_those_of_the_log(make_rich: MakeRich) -> None:
    """Id to index to id, for users, items and domains of all events of the store."""
    prepared = Prepared.open(prepare(make_rich(clean=CleanConfig()), rows_per_shard=100))
    rows = prepared.interactions().collect()
    store = rows[: len(prepared.item_ids)]
    lengths = np.diff(prepared.offsets)
    users = prepared.users()["user_id"].gather(np.repeat(np.arange(len(lengths)), lengths))
    assert users.to_list() == store["user_id"].to_list()
    items = prepared.items()["item_id"].gather(prepared.item_ids - 1)
    assert items.to_list() == store["item_id"].to_list()
    domains = pl.Series(prepared.domains).gather(prepared.domain_ids - 1)
    assert domains.to_list() == store["domain"].to_list()
    for ids in (prepared.users()["user_id"], prepared.items()["item_id"]):
        assert ids.is_sorted()
        assert ids.is_unique().all()


@pytest.mark.parametrize("num_items", [5, 10_000])
def test_pairs_are_packed_whether_dense_or_not(num_items: int) -> None:
    items, domains = [num_items, 1, 1, num_items], [2, 1, 3, 2]
    dtypes = {"item_index": pl.Int32, "domain_index": pl.Int32}
    rows = pl.DataFrame({"item_index": items, "domain_index": domains}, schema=dtypes)
    packed = shards.pack_pairs(rows)
    assert packed.tolist() == [1 << 32 | 1, 1 << 32 | 3, num_items << 32 | 2]
    ids = pl.Series([f"i{item}" for item in range(1, num_items + 1)])
    names = shards.unpack_pairs([packed, packed[:1]], ids, pl.Series(["a", "b", "c"]))
    assert names.rows() == [("i1", "a"), ("i1", "c"), (f"i{num_items}", "b")]
    assert shards.pack_pairs(rows.clear()).tolist() == []


@pytest.mark.parametrize("ties", ["shuffle", "file"])
def test_files_that_follow_each_other_are_one_file(
    same_folder: SameFolder, tmp_path: Path, ties: str
) -> None:
    generator = np.random.default_rng(0)
    rows = [f"u{user},i{item}" for user, item in generator.integers(0, 9, (60, 2))]
    folders = []
    for name, cuts, rows_per_shard in (("one", [60], 10**6), ("two", [7, 7, 41, 60], 15)):
        paths = []
        for start, end in zip([0, *cuts], cuts, strict=False):
            paths.append(tmp_path / f"{name}{start}-{end}.csv")
            paths[-1].write_text("\n".join(["user_id,item_id", *rows[start:end]]) + "\n")
        log = InteractionsConfig(path=[str(path) for path in paths], order="file")
        output = str(tmp_path / name)
        config = PrepareConfig(interactions=log, split=SplitConfig(ties=ties), output=output)
        folders.append(prepare(config, rows_per_shard=rows_per_shard))
    same_folder(*folders, IGNORED)
    times = Prepared.open(folders[0]).interactions().collect()["timestamp"]
    assert times.is_unique().all()
