"""Shards as they are read -> integer-coded interactions, clean and in order."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.engine.shards import USERS, Shards, Vocabulary, reject
from xrec_lightning.data.raw.readers import ROW, SOURCE, VALUE
from xrec_lightning.data.steps import clean, events, filters, repeats, validate
from xrec_lightning.data.steps.cold import Candidates, find_candidates
from xrec_lightning.data.steps.manifest import Ties, count_ties
from xrec_lightning.data.steps.order import add_order, sort_flat
from xrec_lightning.data.steps.vocab import Ids, distinct_ids, encode, with_ids

KEPT = "kept"
"""Name of the frame of clean interactions."""
DISLIKES = "dislikes"
"""Name of the frame of interactions that say no."""

Flag = Callable[[pl.DataFrame], pl.DataFrame]


class RawShard(NamedTuple):
    """What a shard holds as it is read."""

    num_users: int
    items: pl.Series
    domains: pl.Series
    event_names: set[str]
    last_time: int | None
    rows: dict[str, int]
    """Rows of each file."""


class CleanShard(NamedTuple):
    """What a shard holds after the cleaning."""

    num_events: int
    ties: Ties
    candidates: Candidates | None
    """What may be hidden, None where nothing shall be."""
    first_rejected: pl.DataFrame
    """At most one row."""


def read_ids(shards: Shards, shard: int) -> RawShard:
    """Find the ids of a shard."""
    rows = shards.log.read(shard)
    ids = distinct_ids(rows)
    shards.frames.put(USERS, shard, ids.users.alias(schema.USER_ID).to_frame())
    kinds = rows.schema[SOURCE]
    names = kinds.categories.to_list() if isinstance(kinds, pl.Enum) else []
    counts = np.bincount(rows[SOURCE].to_physical().to_numpy(), minlength=len(names))
    last_time = rows[schema.TIMESTAMP].max()
    return RawShard(
        num_users=len(ids.users),
        items=ids.items,
        domains=ids.domains,
        event_names=events.event_names(rows),
        last_time=last_time if isinstance(last_time, int) else None,
        rows=dict(zip(names, counts.tolist(), strict=True)),
    )


def clean_shard(
    shards: Shards, vocabulary: Vocabulary, cold_domain: int | None, shard: int
) -> CleanShard:
    """Drop the interactions that cannot or shall not be used, and order the others."""
    config = shards.config
    rows, unusable = _in_order(shards, vocabulary, shard)
    rows, unwanted = _drop(rows, [repeats.flag_duplicates, *_busy_users(config.clean.max_per_hour)])
    rows, dislikes = events.part_dislikes(rows, config.events)
    rows, outdated = _drop(rows, _after_order(shards))
    kept = events.weigh_events(rows, config.events)
    shards.frames.put(KEPT, shard, kept)
    shards.frames.put(DISLIKES, shard, dislikes)
    dropped = pl.concat([*unusable, *unwanted, *outdated])
    rejected = reject(shards, dropped, vocabulary, shard)
    return CleanShard(
        num_events=len(kept),
        ties=count_ties(kept),
        candidates=_find_candidates(shards, kept, vocabulary, cold_domain),
        first_rejected=rejected.sort(SOURCE, ROW).head(1),
    )


def _in_order(
    shards: Shards, vocabulary: Vocabulary, shard: int
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Return the interactions that can be used, in flat order, and the others, by reason."""
    config = shards.config
    flags = _before_order(shards, vocabulary, shard)
    usable, dropped = _drop(_encode(shards, vocabulary, shard), flags)
    # Where the time is read there is no value; a frame that nobody else holds is sorted in place.
    last = [usable.drop(VALUE)]
    del usable
    return sort_flat(add_order(last.pop(), config.split.ties), config.seed), dropped


def _find_candidates(
    shards: Shards, kept: pl.DataFrame, vocabulary: Vocabulary, cold_domain: int | None
) -> Candidates | None:
    """Return what may be hidden, None where nothing shall be."""
    split = shards.config.split
    if split.cold_items == 0 and split.cold_users == 0 and cold_domain is None:
        return None
    return find_candidates(kept, vocabulary.num_users, vocabulary.num_items, cold_domain)


def _ids(shards: Shards, vocabulary: Vocabulary, shard: int) -> Ids:
    return Ids(shards.users(shard), vocabulary.items, vocabulary.domains)


def _encode(shards: Shards, vocabulary: Vocabulary, shard: int) -> pl.DataFrame:
    ids = _ids(shards, vocabulary, shard)
    rows = encode(shards.log.take(shard), ids, vocabulary.first_users[shard])
    return events.drop_nans(validate.fill_domains(rows, vocabulary.item_domains))


def _before_order(shards: Shards, vocabulary: Vocabulary, shard: int) -> list[Flag]:
    """Return what drops single rows."""
    config = shards.config.clean
    flags: list[Flag] = [validate.flag_unreadable, events.flag_bad_weights]
    if config.filters:
        ids = _ids(shards, vocabulary, shard)

        def flag_unmet(rows: pl.DataFrame) -> pl.DataFrame:
            named = with_ids(rows, ids, vocabulary.first_users[shard])
            return filters.flag_unmet(named, config.filters).drop(
                schema.USER_ID, schema.ITEM_ID, schema.DOMAIN
            )

        flags.append(flag_unmet)
    if config.since is not None or config.last_days > 0:
        flags.append(lambda rows: filters.flag_early(rows, config, vocabulary.last_time))
    return flags


def _busy_users(max_per_hour: int) -> list[Flag]:
    return [lambda rows: clean.flag_busy(rows, max_per_hour)] if max_per_hour > 0 else []


def _after_order(shards: Shards) -> list[Flag]:
    """Return what keeps some of a user's events."""
    config = shards.config.clean
    flags: list[Flag] = []
    if config.repeats != "keep":
        flags.append(lambda rows: repeats.flag_repeats(rows, config.repeats))
    if config.max_history > 0:
        flags.append(lambda rows: clean.flag_old(rows, config.max_history))
    return flags


def _drop(rows: pl.DataFrame, flags: list[Flag]) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Return the rows that no flag drops, and the others, by flag."""
    dropped = []
    for flag in flags:
        rows, rejected = clean.part(flag(rows))
        dropped.append(rejected)
    return rows, dropped
