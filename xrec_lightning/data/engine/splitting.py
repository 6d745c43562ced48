"""Clean interactions -> interactions with their role, those outside the core dropped."""

from typing import NamedTuple

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.engine.cleaning import KEPT
from xrec_lightning.data.engine.shards import Shards, Vocabulary, pack_pairs, reject
from xrec_lightning.data.steps import clean
from xrec_lightning.data.steps.cold import Cold
from xrec_lightning.data.steps.core import Core, TrainingPairs, flag_outside_core, training_pairs
from xrec_lightning.data.steps.cuts import Cuts, flag_late, needed_times
from xrec_lightning.data.steps.runs import Ints, begins_run
from xrec_lightning.data.steps.splits import mark_roles

SPLIT = "split"
"""Name of the frame of interactions with their role."""


class SplitShard(NamedTuple):
    """What a shard holds after the split."""

    num_events: int
    users: Ints
    """Index of each user who has an event, ascending."""
    pairs: Ints
    """Items with their domains, packed."""


def read_times(shards: Shards, cold: Cold | None, shard: int) -> Ints:
    """Return the times of a shard that decide the cuts of the whole log."""
    kept = shards.frames.get(KEPT, shard)
    shown = kept if cold is None else kept.filter(pl.Series(~cold.hides(kept)))
    return needed_times(shown, shards.config.split)


def split_shard(
    shards: Shards, cold: Cold | None, cuts: Cuts | None, vocabulary: Vocabulary, shard: int
) -> SplitShard:
    """Give every interaction its role."""
    kept, late = clean.part(flag_late(shards.frames.take(KEPT, shard), cuts))
    reject(shards, late, vocabulary, shard)
    return _keep(shards, mark_roles(kept, shards.config.split, cuts, cold), shard)


def read_pairs(shards: Shards, shard: int) -> TrainingPairs:
    """Return what the core of the whole log needs of a shard."""
    by_domain = shards.config.clean.k_core_by == "domain"
    return training_pairs(shards.frames.get(SPLIT, shard), by_domain)


def cut_shard(
    shards: Shards, core: Core, cold: Cold | None, vocabulary: Vocabulary, shard: int
) -> SplitShard:
    """Drop what is outside the core."""
    rows = shards.frames.take(SPLIT, shard)
    kept, outside = clean.part(flag_outside_core(rows, core, cold))
    reject(shards, outside, vocabulary, shard)
    return _keep(shards, kept, shard)


def _keep(shards: Shards, rows: pl.DataFrame, shard: int) -> SplitShard:
    shards.frames.put(SPLIT, shard, rows)
    users = rows[schema.USER_INDEX].to_numpy()
    users = users[begins_run(users)]
    return SplitShard(len(rows), users, pack_pairs(rows))
