"""Single shards as they are read -> clean interactions."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.steps import CleanConfig, EventsConfig
from xrec_lightning.data.engine import cleaning
from xrec_lightning.data.engine.log import ParsedLog
from xrec_lightning.data.engine.shards import REJECTED, REJECTED_DTYPES, Shards, Vocabulary
from xrec_lightning.data.engine.workspace import MemoryWorkspace

NAMES = ["user_id", "item_id", "domain", "timestamp", "event"]
ROWS: list[tuple[str | None, str | None, str | None, int | None, str | None]] = [
    ("b", "i", "x", 5, "buy"),
    ("a", "j", None, 7, "buy"),
    ("a", "i", "x", 3, "no"),
    ("a", "k", "y", 3, None),
    (None, "i", "x", 1, "buy"),
    ("b", None, "x", 1, "buy"),
    ("b", "i", "x", 5, "buy"),
    ("b", "i", "x", None, "buy"),
]
IDS = Vocabulary(
    first_users=[11, 13],
    items=pl.Series(["i", "j", "k"]),
    domains=pl.Series(["x", "y"]),
    item_domains=np.array([0, 0, 2, 0], np.int32),
    last_time=7,
)

MakeShards = Callable[..., Shards]


@pytest.fixture
def make_shards(make_config: Callable[..., PrepareConfig], tmp_path: Path) -> MakeShards:
    """Return a function of the cleaning that gives a log of one shard."""

    def make(rows: list[tuple[object, ...]] = [*ROWS], **changes: object) -> Shards:  # noqa: B006  # not changed
        dtypes = {**dict.fromkeys(NAMES, pl.String), "timestamp": pl.Int64}
        log = pl.DataFrame(rows, schema=dtypes, orient="row").with_columns(
            pl.Series("source", ["log.csv"] * len(rows), pl.Enum(["log.csv", "b.csv"])),
            pl.Series("row", range(len(rows)), pl.UInt32),
            pl.when(pl.col("timestamp").is_null()).then(pl.lit("soon")).alias("value"),
        )
        config = replace(make_config(), events=EventsConfig(dislikes=["no"]), **changes)
        return Shards(config, ParsedLog(log.clear(), 1, log, tmp_path), MemoryWorkspace())

    return make


def test_ids_events_and_rows_of_files_are_found(make_shards: MakeShards) -> None:
    shards = make_shards()
    found = cleaning.read_ids(shards, 0)
    assert found.items.to_list() == ["i", "j", "k"]
    assert found.domains.to_list() == ["x", "y"]
    assert shards.users(0).to_list() == ["a", "b"]
    facts = (found.num_users, found.event_names, found.last_time, found.rows)
    assert facts == (2, {"buy", "no"}, 7, {"log.csv": 8, "b.csv": 0})


def test_a_shard_is_coded_cleaned_and_ordered(make_shards: MakeShards) -> None:
    shards = make_shards()
    cleaning.read_ids(shards, 0)
    result = cleaning.clean_shard(shards, IDS, None, 0)
    indices = ["user_index", "item_index", "domain_index", "timestamp"]
    kept = shards.frames.get(cleaning.KEPT, 0)
    # User a is the 11th of the log; the domain of j comes from the catalog.
    assert kept.select(indices).rows() == [(11, 3, 2, 3), (11, 2, 2, 7), (12, 1, 1, 5)]
    assert kept.schema["user_index"] == pl.Int32
    assert shards.frames.get(cleaning.DISLIKES, 0).select(indices).rows() == [(11, 1, 1, 3)]
    rejected = shards.frames.get(REJECTED, 0)
    assert dict(rejected.schema) == REJECTED_DTYPES
    assert rejected.sort("row").drop("source").rows() == [
        (4, "user_id is null", None, "i", None),
        (5, "item_id is null", "b", None, None),
        (6, "exact duplicate of another row", "b", "i", None),
        (7, "timestamp cannot be read", "b", "i", "soon"),
    ]
    assert result.num_events == 3
    assert result.candidates is None
    assert result.first_rejected["row"].to_list() == [4]


def test_a_filter_may_name_ids(make_shards: MakeShards) -> None:
    clean = CleanConfig(filters=["user_id = 'a' AND item_id IN ('j', 'k')", "domain = 'y'"])
    shards = make_shards(clean=clean)
    cleaning.read_ids(shards, 0)
    assert cleaning.clean_shard(shards, IDS, None, 0).num_events == 2
    kept = shards.frames.get(cleaning.KEPT, 0)
    assert kept["item_index"].to_list() == [3, 2]
    assert not {"user_id", "item_id", "domain"} & set(kept.columns)


@pytest.mark.parametrize("repeats", ["drop", "last", "keep"])
@pytest.mark.parametrize("rows", [[], ROWS[4:6]], ids=["empty", "rejected"])
def test_a_shard_without_a_usable_row_is_empty(
    make_shards: MakeShards, rows: list[tuple[object, ...]], repeats: str
) -> None:
    clean = CleanConfig(max_per_hour=1, max_history=2, last_days=1, repeats=repeats)
    shards = make_shards(rows, clean=clean)
    cleaning.read_ids(shards, 0)
    result = cleaning.clean_shard(shards, IDS, 1, 0)
    assert (result.num_events, len(result.first_rejected)) == (0, min(len(rows), 1))
    assert result.ties == (0, 0, 0, 0)
    assert result.candidates is not None
    assert not result.candidates.users.any()
    assert shards.frames.get(cleaning.KEPT, 0).is_empty()
    assert len(shards.frames.get(REJECTED, 0)) == len(rows)
