"""What the whole log says, from what its shards say: ids, what is cold, cuts, the core, indices."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.engine.cleaning import CleanShard, RawShard, clean_shard, read_ids
from xrec_lightning.data.engine.engines import Engine
from xrec_lightning.data.engine.indexing import FinalIndex
from xrec_lightning.data.engine.shards import USERS, Shards, Vocabulary, unpack_pairs
from xrec_lightning.data.engine.splitting import (
    SplitShard,
    cut_shard,
    read_pairs,
    read_times,
    split_shard,
)
from xrec_lightning.data.steps import filters, validate
from xrec_lightning.data.steps.cold import Cold, choose_cold, find_domain, merge_candidates
from xrec_lightning.data.steps.core import Core, core_masks
from xrec_lightning.data.steps.cuts import GLOBAL_METHODS, Cuts, find_cuts
from xrec_lightning.data.steps.events import refuse_bad_events
from xrec_lightning.data.steps.tables import LISTED, join_items, join_users, only_value
from xrec_lightning.data.steps.vocab import add_index, decode, index_of, union


class CleanLog(NamedTuple):
    """The log after the cleaning."""

    vocabulary: Vocabulary
    rows: dict[str, int]
    """Rows of each file."""
    parts: list[CleanShard]


class SplitLog(NamedTuple):
    """The log after the split."""

    parts: list[SplitShard]
    cold: Cold | None
    cuts: Cuts | None


class FinalTables(NamedTuple):
    """Items, users and domains that are kept, with their indices."""

    items: pl.DataFrame
    users: pl.DataFrame
    domains: list[str]
    indices: FinalIndex
    cold: Cold | None
    """What is hidden, in final indices; None where nothing is."""


def clean_log(shards: Shards, items: pl.DataFrame, engine: Engine) -> CleanLog:
    """Index and clean the log.

    Args:
        shards: The log.
        items: Items of the catalog.
        engine: What runs the steps.

    Raises:
        InputError: If the config names what the log does not have, or no interaction is left.
    """
    raw = engine.map(partial(read_ids, shards), shards.numbers)
    config = shards.config
    columns = shards.log.columns
    names = set().union(*(each.event_names for each in raw))
    refuse_bad_events(config.events, names, columns)
    filters.refuse_bad_filters(config.clean.filters, columns)
    vocabulary = _vocabulary(raw, items)
    domain = find_domain(config.split, vocabulary.domains.to_list())
    domain = None if domain is None else domain + 1
    step = partial(clean_shard, shards, vocabulary, domain)
    parts = engine.map(step, shards.numbers)
    num_events = sum(part.num_events for part in parts)
    rows: dict[str, int] = {}
    for each in raw:
        for name, count in each.rows.items():
            rows[name] = rows.get(name, 0) + count
    rejected = pl.concat([each.first_rejected for each in parts])
    validate.refuse_no_interactions(num_events, rejected, rows)
    return CleanLog(vocabulary, rows, parts)


def split_log(shards: Shards, clean: CleanLog, items: pl.DataFrame, engine: Engine) -> SplitLog:
    """Give every interaction its role and drop what is outside the core.

    Raises:
        InputError: If a cold protocol has no candidate, or the core is empty.
    """
    config, vocabulary = shards.config, clean.vocabulary
    cold = _choose_cold(shards, clean, items)
    cuts = None
    if config.split.method in GLOBAL_METHODS:
        times = engine.map(partial(read_times, shards, cold), shards.numbers)
        cuts = find_cuts(times, config.split)
    step = partial(split_shard, shards, cold, cuts, vocabulary)
    parts = engine.map(step, shards.numbers)
    if config.clean.k_core > 0:
        core = _find_core(shards, vocabulary, engine)
        parts = engine.map(partial(cut_shard, shards, core, cold, vocabulary), shards.numbers)
        num_events = sum(part.num_events for part in parts)
        validate.refuse_empty_core(num_events, config.clean.k_core)
    return SplitLog(parts, cold, cuts)


def index_tables(
    shards: Shards, clean: CleanLog, split: SplitLog, items: pl.DataFrame, users: pl.DataFrame
) -> FinalTables:
    """Give items, users and domains that are kept their indices.

    Raises:
        InputError: If a domain has a name that metric keys cannot hold.
    """
    vocabulary = clean.vocabulary
    pairs = unpack_pairs([part.pairs for part in split.parts], vocabulary.items, vocabulary.domains)
    rows = join_items(pairs, items, only_value(pairs[schema.DOMAIN].unique()))
    if shards.config.clean.k_core > 0:
        rows = rows.join(pairs, on=schema.ITEM_ID, how="semi", maintain_order="left")
    domains = rows.select(pl.col(schema.DOMAINS).explode().unique().sort()).to_series()
    validate.refuse_domain_names(domains.to_list())
    kept_users = np.concatenate([part.users for part in split.parts])
    user_index = np.zeros(vocabulary.num_users, dtype=np.int32)
    user_index[kept_users] = np.arange(1, len(kept_users) + 1)
    indices = FinalIndex(
        users=user_index,
        items=_positions(vocabulary.items, rows[schema.ITEM_ID]),
        domains=_positions(vocabulary.domains, domains),
        num_items=len(rows),
        num_domains=len(domains),
    )
    ids = pl.concat(
        [
            decode(
                pl.Series(part.users),
                shards.frames.take(USERS, shard)[schema.USER_ID],
                vocabulary.first_users[shard],
            )
            for shard, part in enumerate(split.parts)
        ]
    )
    cold = split.cold and split.cold.take(
        np.append(0, kept_users),
        _positions(rows[schema.ITEM_ID], vocabulary.items),
        None if split.cold.domain is None else int(indices.domains[split.cold.domain]),
    )
    return FinalTables(
        items=add_index(rows, schema.ITEM_INDEX),
        users=add_index(join_users(ids, users), schema.USER_INDEX),
        domains=domains.to_list(),
        indices=indices,
        cold=cold,
    )


def _vocabulary(raw: Sequence[RawShard], items: pl.DataFrame) -> Vocabulary:
    ids = union([each.items for each in raw])
    listed = items.select(schema.ITEM_ID, pl.col(LISTED).list.first().alias(schema.DOMAIN))
    listed = listed.drop_nulls()
    domains = union([*(each.domains for each in raw), listed[schema.DOMAIN].unique().sort()])
    item_domains = np.zeros(len(ids) + 1, dtype=np.int32)
    if len(domains) == 0:
        domains = pl.Series(schema.DOMAIN, [validate.ONLY_DOMAIN])
        item_domains[1:] = 1
    else:
        positions = index_of(listed[schema.ITEM_ID], ids)
        is_known = positions.is_not_null()
        values = index_of(listed[schema.DOMAIN], domains).filter(is_known)
        item_domains[positions.filter(is_known).to_numpy()] = values.to_numpy()
    times = [each.last_time for each in raw if each.last_time is not None]
    first_users = np.cumsum([1, *(each.num_users for each in raw)]).tolist()
    return Vocabulary(first_users, ids, domains, item_domains, max(times, default=None))


def _choose_cold(shards: Shards, clean: CleanLog, items: pl.DataFrame) -> Cold | None:
    vocabulary, config = clean.vocabulary, shards.config
    found = [part.candidates for part in clean.parts if part.candidates is not None]
    if not found:
        return None
    with_text = items.filter(pl.col(schema.TEXT).is_not_null())[schema.ITEM_ID]
    has_text = np.zeros(vocabulary.num_items, dtype=bool)
    has_text[index_of(with_text, vocabulary.items).drop_nulls().to_numpy()] = True
    domain = find_domain(config.split, vocabulary.domains.to_list())
    candidates = merge_candidates(found)
    index = None if domain is None else domain + 1
    return choose_cold(candidates, has_text, index, config.split, config.seed)


def _find_core(shards: Shards, vocabulary: Vocabulary, engine: Engine) -> Core:
    parts = engine.map(partial(read_pairs, shards), shards.numbers)
    by_domain = shards.config.clean.k_core_by == "domain"
    return core_masks(
        np.concatenate([part.users for part in parts]),
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.groups for part in parts]) if by_domain else None,
        shards.config.clean.k_core,
        num_users=vocabulary.num_users,
        num_items=vocabulary.num_items,
        num_groups=len(vocabulary.domains) + 1 if by_domain else 1,
    )


def _positions(values: pl.Series, ids: pl.Series) -> np.ndarray:
    """Return the index of each value in ``ids``, 0 if it is not there, with 0 for index 0."""
    return np.append(0, index_of(values, ids).fill_null(0).to_numpy()).astype(np.int32)
