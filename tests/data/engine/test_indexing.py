"""Final indices, and what a shard tells of its events."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.engine import indexing
from xrec_lightning.data.engine.cleaning import DISLIKES
from xrec_lightning.data.engine.indexing import EVENTS, HIDDEN, ITEM_ITEM, USER_ITEM, FinalIndex
from xrec_lightning.data.engine.log import ParsedLog
from xrec_lightning.data.engine.shards import Shards
from xrec_lightning.data.engine.splitting import SPLIT
from xrec_lightning.data.engine.workspace import MemoryWorkspace
from xrec_lightning.data.steps.cold import Cold
from xrec_lightning.data.steps.vocab import Ids
from xrec_lightning.schema import SPLIT_DTYPE

# The users 5, 6, 8 of the log become 2, 3, 4; its items 7, 8, 9 become 1, 2, 3.
FINAL = FinalIndex(
    users=np.array([0, 1, 0, 0, 0, 2, 3, 0, 4], np.int32),
    items=np.array([0, 0, 0, 0, 0, 0, 0, 1, 2, 3], np.int32),
    domains=np.array([0, 1, 0, 2], np.int32),
    num_items=3,
    num_domains=2,
)
ROWS = [
    (5, 7, 1, 1, "train"),
    (5, 8, 3, 2, "val"),
    (5, 7, 1, 3, "test"),
    (6, 9, 3, 2, "hidden"),
    (8, 8, 3, 1, "train"),
    (8, 9, 3, 4, "hidden"),
    (8, 7, 1, 6, "test"),
]
COLD = Cold(np.arange(4) == 3, np.zeros(5, bool), np.zeros(5, bool), None)
INDICES = ["user_index", "item_index", "domain_index"]


@pytest.fixture
def make_shards(make_config: Callable[..., PrepareConfig], tmp_path: Path) -> Callable[..., Shards]:
    """Return a function of events with roles and of dislikes that gives their shard."""

    def make(rows: list[tuple[object, ...]], dislikes: list[tuple[object, ...]]) -> Shards:
        dtypes = {**dict.fromkeys(INDICES, pl.Int32), "timestamp": pl.Int64}
        order = pl.col("timestamp").alias("order")
        events = pl.DataFrame(rows, schema={**dtypes, "role": SPLIT_DTYPE}, orient="row")
        frames = MemoryWorkspace()
        frames.put(SPLIT, 0, events.with_columns(order))
        no = pl.DataFrame(dislikes, schema=dtypes, orient="row").with_columns(order)
        frames.put(DISLIKES, 0, no)
        return Shards(make_config(), ParsedLog(events.clear(), 1, None, tmp_path), frames)

    return make


def test_events_are_in_final_indices_and_hidden_ones_apart(
    make_shards: Callable[..., Shards],
) -> None:
    dislikes = [(5, 9, 3, 0), (5, 8, 3, 1), (5, 8, 3, 2), (7, 8, 3, 0), (8, 1, 1, 0), (6, 8, 3, 0)]
    shards = make_shards(ROWS, dislikes)
    found = indexing.index_shard(shards, FINAL, COLD, None, 0)
    events, hidden = (shards.frames.get(name, 0) for name in (EVENTS, HIDDEN))
    assert events.select(INDICES).rows() == [(2, 1, 1), (2, 2, 2), (2, 1, 1), (4, 2, 2), (4, 1, 1)]
    assert events["split"].to_list() == ["train", "val", "test", "train", "test"]
    assert hidden.select(INDICES).rows() == [(3, 3, 2), (4, 3, 2)]
    # User 3 has hidden events only.
    assert found.offsets.tolist() == [0, 3, 3, 5]
    assert found.train_ends.tolist() == [1, 3, 4]
    assert found.train_counts.tolist() == [0, 1, 1, 0]
    assert not found.has_weights
    # Not of hidden items, late ones, what is dropped, nor of users who have no training event.
    assert shards.frames.get(DISLIKES, 0).rows() == [(2, 2)]
    assert not shards.frames.has(SPLIT, 0)


def test_a_shard_without_events_has_no_users(make_shards: Callable[..., Shards]) -> None:
    shards = make_shards([], [(5, 8, 3, 1)])
    found = indexing.index_shard(shards, FINAL, COLD, None, 0)
    assert found.offsets.tolist() == [0]
    assert found.train_ends.tolist() == []
    assert found.train_counts.tolist() == [0, 0, 0, 0]
    assert shards.frames.get(DISLIKES, 0).rows() == []
    store = indexing.Store([0, 0], [1, 1], [found.train_ends], found.train_counts,
                           np.zeros(4, bool), COLD, None, 2)  # fmt: skip
    counts = indexing.target_shard(shards, store, 0)
    assert sum(counts.splits.values()) == 0
    assert indexing.edge_shard(shards, 3, 0).tolist() == [0, 0, 0, 0]


def test_targets_and_edges_are_of_the_whole_store(make_shards: Callable[..., Shards]) -> None:
    """The shard's first event is the 100th of the store, its first user the second."""
    shards = make_shards(ROWS, [])
    found = indexing.index_shard(shards, FINAL, COLD, None, 0)
    store = indexing.Store([100, 105], [2, 5], [found.train_ends], np.array([0, 20, 1, 0]),
                           np.array([False, True, False, False]), COLD, None, 2)  # fmt: skip
    counts = indexing.target_shard(shards, store, 0)
    test = shards.frames.get("test", 0)
    columns = ["user_index", "item_index", "history_start", "history_end", "is_hidden"]
    assert test.select(columns).rows() == [
        (2, 1, 100, 102, False),
        (4, 1, 103, 104, False),
        (4, 3, 103, 104, True),
    ]
    assert test["slice_head"].to_list() == [True, True, False]
    assert shards.frames.get("val", 0).select(columns).rows() == [(2, 2, 100, 101, False)]
    assert (counts.with_text, counts.cold_test_targets) == (3, 1)
    assert counts.overlap.tolist() == [[2, 2], [2, 3]]
    indexing.edge_shard(shards, 3, 0)
    assert shards.frames.get(USER_ITEM, 0).select("user_index", "item_index").rows() == [
        (2, 1),
        (4, 2),
    ]
    assert shards.frames.get(ITEM_ITEM, 0).is_empty()


def test_events_are_named_by_the_final_ids(make_shards: Callable[..., Shards]) -> None:
    shards = make_shards(ROWS, [])
    indexing.index_shard(shards, FINAL, None, None, 0)
    ids = Ids(pl.Series(["s", "t", "u", "v"]), pl.Series(["i", "j", "k"]), pl.Series(["x", "y"]))
    indexing.name_shard(shards, ids, 0)
    rows = shards.frames.get(HIDDEN, 0)
    names = ["user_id", "item_id", "domain", "timestamp", "split"]
    assert rows.columns == [*INDICES, *names]
    assert rows.select(names).rows() == [
        ("u", "k", "y", 2, "hidden"),
        ("v", "k", "y", 4, "hidden"),
    ]
