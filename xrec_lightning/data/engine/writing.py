"""The frames of all shards -> the files of a prepared folder."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.tables import ItemsConfig, UsersConfig
from xrec_lightning.data.engine.assembling import CleanLog, FinalTables
from xrec_lightning.data.engine.cleaning import DISLIKES
from xrec_lightning.data.engine.engines import Engine
from xrec_lightning.data.engine.indexing import (
    EVENTS,
    HIDDEN,
    ITEM_ITEM,
    USER_ITEM,
    IndexedShard,
    edge_shard,
    name_shard,
)
from xrec_lightning.data.engine.opening import Opened
from xrec_lightning.data.engine.shards import REJECTED, Shards
from xrec_lightning.data.engine.writer import (
    SequenceWriter,
    write_array,
    write_dislikes,
    write_tables,
)
from xrec_lightning.data.raw.readers import ROW, SOURCE, raw_name
from xrec_lightning.data.raw.remote import is_address, public_name
from xrec_lightning.data.steps import graph
from xrec_lightning.data.steps.runs import Ints
from xrec_lightning.data.steps.triples import entity_entity_edges, index_entities
from xrec_lightning.data.steps.vectors import align_vectors
from xrec_lightning.data.steps.vocab import Ids

EDGES_AT_A_TIME = 10_000_000
"""Edges between items that are merged at a time."""

_MERGED = "merged"
_TABLES = ("interactions", "items", "users", "knowledge", "links")
_NO_CATALOG = ItemsConfig(path=[])
_NO_PROFILES = UsersConfig(path=[])


def write_sequences(
    folder: Path, shards: Shards, parts: Sequence[IndexedShard], num_users: int
) -> None:
    """Write the sequence store and the dislikes."""
    num_events = sum(int(part.offsets[-1]) for part in parts)
    with_weights = any(part.has_weights for part in parts)
    with SequenceWriter(folder, num_users, num_events, with_weights) as writer:
        for shard, part in enumerate(parts):
            writer.add(shards.frames.get(EVENTS, shard), part.offsets, part.train_ends)
    dislikes = pl.concat([shards.frames.take(DISLIKES, shard) for shard in shards.numbers])
    write_dislikes(folder, dislikes, num_users)


def write_graph(
    folder: Path, shards: Shards, tables: FinalTables, triples: pl.DataFrame, engine: Engine
) -> dict[str, int]:
    """Write the edges and return the number of those of each kind."""
    config = shards.config
    catalog, profiles = config.items or _NO_CATALOG, config.users or _NO_PROFILES
    step = partial(edge_shard, shards, tables.indices.num_items)
    rows_by_left = sum(engine.map(step, shards.numbers))
    tags = graph.item_tag_edges(
        tables.items,
        [raw_name(name) for name in catalog.tags],
        catalog.tag_separator,
        catalog.path_separator,
    )
    brand = raw_name(catalog.brand) if catalog.brand is not None else None
    fields = [raw_name(name) for name in profiles.profile]
    edges: dict[str, pl.LazyFrame] = {
        USER_ITEM: shards.frames.scan(USER_ITEM, shards.numbers),
        ITEM_ITEM: _merge_between_items(shards, np.asarray(rows_by_left)),
        "item_domain": graph.item_domain_edges(tables.items).lazy(),
        "item_tag": tags.lazy(),
        "item_brand": graph.item_brand_edges(tables.items, brand).lazy(),
        "user_profile": graph.user_profile_edges(tables.users, fields).lazy(),
    }
    if config.knowledge is not None:
        entities = index_entities(triples, tables.items, tags[graph.TAG].unique())
        edges["entity_entity"] = entity_entity_edges(triples, entities).lazy()
        write_tables(folder, {f"{schema.GRAPH_FOLDER}/entities.parquet": entities})
    write_tables(
        folder, {f"{schema.GRAPH_FOLDER}/{name}.parquet": rows for name, rows in edges.items()}
    )
    for shard in shards.numbers:
        shards.frames.drop(USER_ITEM, shard)
        shards.frames.drop(ITEM_ITEM, shard)
    return {
        name: pl.scan_parquet(folder / schema.GRAPH_FOLDER / f"{name}.parquet")
        .select(pl.len())
        .collect()
        .item()
        for name in edges
    }


def write_frames(
    folder: Path, shards: Shards, tables: FinalTables, opened: Opened, engine: Engine
) -> None:
    """Write interactions, items, users, targets and rejected rows."""
    config, frames, numbers = shards.config, shards.frames, shards.numbers
    ids = Ids(
        tables.users[schema.USER_ID],
        tables.items[schema.ITEM_ID],
        pl.Series(tables.domains, dtype=pl.String),
    )
    engine.map(partial(name_shard, shards, ids), numbers)
    has_our_name = config.items is not None and config.items.title == schema.TITLE
    items = tables.items.drop(raw_name(schema.TITLE)) if has_our_name else tables.items
    rejected = pl.concat([frames.scan(REJECTED, numbers), opened.rejected.lazy()])
    targets = {
        f"{schema.TARGETS_FOLDER}/{name}.parquet": frames.scan(name, numbers)
        for name in (schema.VAL, schema.TEST)
    }
    interactions = [frames.scan(name, numbers) for name in (EVENTS, HIDDEN)]
    write_tables(
        folder,
        {
            schema.INTERACTIONS_FILE: pl.concat(interactions),
            schema.ITEMS_FILE: items,
            schema.USERS_FILE: tables.users,
            schema.REJECTED_FILE: rejected.sort(SOURCE, ROW, maintain_order=True),
            **targets,
        },
    )


def write_modalities(folder: Path, tables: FinalTables, opened: Opened) -> None:
    """Write the vectors of each modality, one row an item index.

    Raises:
        InputError: If a vector holds a value that is not finite.
    """
    for name, found in opened.vectors.items():
        where = f"items.vectors.{name}"
        vectors = align_vectors(found, opened.item_rows, tables.items, where)
        (folder / schema.MODALITIES_FOLDER).mkdir(exist_ok=True)
        write_array(folder / schema.MODALITIES_FOLDER / f"{name}.npy", vectors)


def describe_config(config: PrepareConfig) -> dict[str, Any]:
    """Return the settings without the passwords and signatures that addresses may hold."""
    settings = asdict(config)
    for name in _TABLES:
        if settings[name] is not None:
            settings[name] = _describe_table(settings[name])
    return settings


def describe_inputs(hashes: dict[str, str], clean: CleanLog) -> list[dict[str, Any]]:
    """Return path, hash and, of the log, number of rows of each file."""
    return [
        {"path": path, "sha256": digest, "rows": clean.rows.get(path)}
        for path, digest in hashes.items()
    ]


def _describe_table(settings: dict[str, Any]) -> dict[str, Any]:
    path = settings["path"]
    shown: dict[str, Any] = {
        "path": _shown_path(path) if isinstance(path, str) else [*map(_shown_path, path)]
    }
    if "vectors" in settings:
        shown["vectors"] = {name: _shown_path(path) for name, path in settings["vectors"].items()}
    return settings | shown


def _shown_path(path: str) -> str:
    return public_name(path) if is_address(path) else path


def _merge_between_items(shards: Shards, rows_by_left: Ints) -> pl.LazyFrame:
    """Return the edges between items, summed over the shards, a range of left items at a time."""
    frames, numbers = shards.frames, shards.numbers
    if len(numbers) == 1:
        return frames.scan(ITEM_ITEM, numbers)
    bounds = [0, *graph.left_bounds(rows_by_left, EDGES_AT_A_TIME), len(rows_by_left)]
    left = pl.col(graph.LEFT_INDEX)
    for number, (first, end) in enumerate(pairwise(bounds)):
        parts = [
            frames.scan(ITEM_ITEM, [shard]).filter(left >= first, left < end).collect()
            for shard in numbers
        ]
        frames.put(_MERGED, number, graph.merge_edges(parts))
    return frames.scan(_MERGED, range(len(bounds) - 1))
