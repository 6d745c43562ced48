"""Interactions with their role -> events of the store in final indices, targets, edges, counts."""

from typing import NamedTuple

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.engine.cleaning import DISLIKES
from xrec_lightning.data.engine.shards import Shards
from xrec_lightning.data.engine.splitting import SPLIT
from xrec_lightning.data.steps import graph
from xrec_lightning.data.steps.cold import Cold
from xrec_lightning.data.steps.cuts import Cuts
from xrec_lightning.data.steps.events import training_dislikes
from xrec_lightning.data.steps.leaks import refuse_leaks
from xrec_lightning.data.steps.manifest import ShardCounts, count_shard
from xrec_lightning.data.steps.runs import Ints, begins_run
from xrec_lightning.data.steps.splits import mark_targets, part_hidden
from xrec_lightning.data.steps.targets import count_training, make_targets
from xrec_lightning.data.steps.vocab import Ids, with_ids

EVENTS, HIDDEN = "events", "hidden"
"""Names of the frames of the store's events, and of hidden ones."""
USER_ITEM, ITEM_ITEM = "user_item", "item_item"
"""Names of the frames of edges."""


class FinalIndex(NamedTuple):
    """Final index of what is kept, by the index of `Vocabulary`; 0 for what is dropped."""

    users: Ints
    items: Ints
    domains: Ints
    num_items: int
    num_domains: int


class IndexedShard(NamedTuple):
    """What a shard holds in final indices."""

    offsets: Ints
    """First event of each user of the shard and the end of the last, from 0."""
    train_ends: Ints
    """End of each user's training events, from 0."""
    train_counts: Ints
    """Training events by item index."""
    has_weights: bool


class Store(NamedTuple):
    """What the whole store knows."""

    first_events: list[int]
    """Flat position of the first event of each shard."""
    first_users: list[int]
    """Index of the first user of each shard."""
    train_ends: list[Ints]
    """End of the training events of each user of each shard, from the shard's first event."""
    train_counts: Ints
    """Training events by item index."""
    has_text: Ints
    """Whether an item has text, by item index."""
    cold: Cold | None
    """What is hidden, in final indices."""
    cuts: Cuts | None
    num_domains: int


def index_shard(
    shards: Shards, final: FinalIndex, cold: Cold | None, cuts: Cuts | None, shard: int
) -> IndexedShard:
    """Give the events their final indices and mark the targets."""
    rows = _reindex(shards.frames.take(SPLIT, shard), final)
    parted = part_hidden(rows)
    events, hidden = (mark_targets(part, shards.config.split) for part in parted)
    shards.frames.put(EVENTS, shard, events)
    shards.frames.put(HIDDEN, shard, hidden)
    dislikes = _reindex(shards.frames.take(DISLIKES, shard), final)
    if len(dislikes) > 0:
        known = (dislikes[schema.USER_INDEX] > 0) & (dislikes[schema.ITEM_INDEX] > 0)
        before = cuts.val_from if cuts is not None else None
        dislikes = training_dislikes(dislikes.filter(known), events, cold, before)
    dislikes = dislikes.select(schema.USER_INDEX, schema.ITEM_INDEX)
    shards.frames.put(DISLIKES, shard, dislikes)
    return _describe(rows, events, final.num_items)


def target_shard(shards: Shards, store: Store, shard: int) -> ShardCounts:
    """Make the targets and the edges of the shard, and check that nothing leaks."""
    events, hidden = (shards.frames.get(name, shard) for name in (EVENTS, HIDDEN))
    base = store.first_events[shard]
    targets = {
        name: make_targets(events, hidden, name, store.train_counts, base)
        for name in (schema.VAL, schema.TEST)
    }
    refuse_leaks(
        events,
        hidden,
        store.train_ends[shard] + base,
        targets,
        shards.config.split.ties == "file",
        cold=store.cold,
        cuts=store.cuts,
        base=base,
        first_user=store.first_users[shard],
    )
    for name, rows in targets.items():
        shards.frames.put(name, shard, rows)
    return count_shard(pl.concat([events, hidden]), targets, store.num_domains, store.has_text)


def edge_shard(shards: Shards, num_items: int, shard: int) -> Ints:
    """Make the edges of the shard's training events; return edges by left item."""
    events = shards.frames.get(EVENTS, shard)
    train = events.filter(pl.col(schema.SPLIT) == schema.TRAIN)
    shards.frames.put(USER_ITEM, shard, graph.user_item_edges(train))
    between = graph.item_item_edges(train, shards.config.graph.window)
    shards.frames.put(ITEM_ITEM, shard, between)
    return graph.rows_by_left(between, num_items)


def name_shard(shards: Shards, ids: Ids, shard: int) -> None:
    """Give the interactions their ids, and drop what only the pipeline needs."""
    for name in (EVENTS, HIDDEN):
        named = with_ids(shards.frames.get(name, shard), ids)
        indices = (schema.USER_INDEX, schema.ITEM_INDEX, schema.DOMAIN_INDEX)
        columns = (schema.USER_ID, schema.ITEM_ID, schema.DOMAIN, *schema.INTERACTION_DTYPES)
        given = [each for each in dict.fromkeys(columns) if each in named.columns]
        shards.frames.put(name, shard, named.select(*indices, *given, schema.SPLIT))


def _reindex(rows: pl.DataFrame, final: FinalIndex) -> pl.DataFrame:
    maps = {
        schema.USER_INDEX: final.users,
        schema.ITEM_INDEX: final.items,
        schema.DOMAIN_INDEX: final.domains,
    }
    changed = {
        name: values
        for name, values in maps.items()
        if (values != np.arange(len(values), dtype=values.dtype)).any()
    }
    return rows.with_columns(
        pl.Series(name, values[rows[name].to_numpy()]) for name, values in changed.items()
    )


def _describe(rows: pl.DataFrame, events: pl.DataFrame, num_items: int) -> IndexedShard:
    users = rows[schema.USER_INDEX].to_numpy()
    users = users[begins_run(users)]
    of_events = events[schema.USER_INDEX].to_numpy()
    behind = users[-1] + 1 if len(users) else 0
    offsets = np.searchsorted(of_events, np.append(users, behind))
    is_train = (events[schema.SPLIT] == schema.TRAIN).to_numpy()
    trained = np.concatenate([[0], np.cumsum(is_train)])
    return IndexedShard(
        offsets=offsets,
        train_ends=offsets[:-1] + trained[offsets[1:]] - trained[offsets[:-1]],
        train_counts=count_training(events, num_items + 1),
        has_weights=schema.WEIGHT in events.columns,
    )
