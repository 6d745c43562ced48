"""Roles of the events of a shard, and the core."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.steps import CleanConfig, SplitConfig
from xrec_lightning.data.engine import splitting
from xrec_lightning.data.engine.cleaning import KEPT
from xrec_lightning.data.engine.log import ParsedLog
from xrec_lightning.data.engine.shards import REJECTED, USERS, Shards, Vocabulary
from xrec_lightning.data.engine.workspace import MemoryWorkspace
from xrec_lightning.data.steps.cold import Cold
from xrec_lightning.data.steps.core import Core
from xrec_lightning.data.steps.cuts import Cuts

IDS = Vocabulary(
    first_users=[1, 4],
    items=pl.Series(["i", "j", "k"]),
    domains=pl.Series(["x", "y"]),
    item_domains=np.zeros(4, np.int32),
    last_time=9,
)
ROWS = [(1, 1, 1), (1, 2, 2), (1, 3, 9), (2, 3, 4), (3, 1, 5), (3, 2, 6)]
COLD = Cold(np.arange(4) == 3, np.zeros(4, bool), np.zeros(4, bool), None)


@pytest.fixture
def shards(make_config: Callable[..., PrepareConfig], tmp_path: Path) -> Shards:
    dtypes = {"user_index": pl.Int32, "item_index": pl.Int32, "timestamp": pl.Int64}
    log = pl.DataFrame(ROWS, schema=dtypes, orient="row").with_columns(
        pl.Series("domain_index", [1, 2, 1, 1, 1, 2], pl.Int32),
        pl.col("timestamp").alias("order"),
        pl.Series("source", ["log.csv"] * 6, pl.Enum(["log.csv"])),
        pl.Series("row", range(6), pl.UInt32),
    )
    frames = MemoryWorkspace()
    frames.put(KEPT, 0, log)
    frames.put(USERS, 0, pl.DataFrame({"user_id": ["a", "b", "c"]}))
    config = make_config(split=SplitConfig(method="global_time"), clean=CleanConfig(k_core=2))
    return Shards(config, ParsedLog(log.clear(), 1, None, tmp_path), frames)


def test_times_of_hidden_events_do_not_cut(shards: Shards) -> None:
    assert splitting.read_times(shards, None, 0).tolist() == [1, 2, 9, 4, 5, 6]
    assert splitting.read_times(shards, COLD, 0).tolist() == [1, 2, 5, 6]


def test_events_get_roles_and_late_ones_go(shards: Shards) -> None:
    result = splitting.split_shard(shards, None, Cuts(4, 6, 9), IDS, 0)
    rows = shards.frames.get(splitting.SPLIT, 0)
    assert rows["role"].to_list() == ["train", "train", "val", "val", "test"]
    assert not shards.frames.has(KEPT, 0)
    rejected = shards.frames.get(REJECTED, 0)
    assert rejected.select("row", "user_id", "item_id").rows() == [(2, "a", "k")]
    assert result.num_events == 5
    assert result.users.tolist() == [1, 2, 3]
    pairs = [(1, 1), (2, 2), (3, 1)]
    assert result.pairs.tolist() == [item << 32 | domain for item, domain in pairs]


def test_a_user_with_hidden_events_only_stays(shards: Shards) -> None:
    shards = replace(shards, config=replace(shards.config, split=SplitConfig()))
    result = splitting.split_shard(shards, COLD, None, IDS, 0)
    roles = shards.frames.get(splitting.SPLIT, 0)["role"].to_list()
    assert roles == ["train", "test", "hidden", "hidden", "train", "test"]
    assert result.users.tolist() == [1, 2, 3]


def test_what_is_outside_the_core_goes(shards: Shards) -> None:
    splitting.split_shard(shards, None, Cuts(100, 200), IDS, 0)
    pairs = splitting.read_pairs(shards, 0)
    assert (pairs.users.tolist(), pairs.groups) == ([1, 1, 1, 2, 3, 3], None)
    core = Core(np.array([[False], [True], [False], [True]]), np.array([False, True, True, False]))
    result = splitting.cut_shard(shards, core, None, IDS, 0)
    assert result.users.tolist() == [1, 3]
    assert shards.frames.get(splitting.SPLIT, 0)["item_index"].to_list() == [1, 2, 1, 2]
    assert sorted(shards.frames.get(REJECTED, 0)["row"]) == [2, 3]


def test_a_core_without_the_users_of_a_shard_leaves_it_empty(shards: Shards) -> None:
    splitting.split_shard(shards, None, Cuts(100, 200), IDS, 0)
    nothing = Core(np.zeros((4, 1), bool), np.ones(4, bool))
    result = splitting.cut_shard(shards, nothing, None, IDS, 0)
    assert (result.num_events, result.users.tolist(), result.pairs.tolist()) == (0, [], [])
