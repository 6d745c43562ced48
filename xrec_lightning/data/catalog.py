"""What models need to know of a prepared data set."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from xrec_lightning.batches import Catalog
from xrec_lightning.data.behavior.sequences import Histories
from xrec_lightning.data.graph.adjacency import read_node_space
from xrec_lightning.data.graph.edges import LEFT, RIGHT, USER_NODE, edge_types, scan_edges
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.histories import TrainingHistories
from xrec_lightning.knowledge.store import KnowledgeStore
from xrec_lightning.schema import (
    DOMAINS,
    ITEM_INDEX,
    MODALITIES_FOLDER,
    SLICES,
    TRAIN_COUNT,
    USER_ID,
)

TAG_EDGES = ("item_tag", "item_brand", "entity_entity")
"""Kinds of edges that say what items are, and not who took them."""


def read_catalog(prepared: Prepared) -> Catalog:
    """Return the catalog of a prepared data set, without knowledge vectors."""
    items = prepared.items()
    listed = items.select(ITEM_INDEX, DOMAINS).explode(DOMAINS)
    candidates = [
        listed.filter(pl.col(DOMAINS) == domain)[ITEM_INDEX].sort().to_numpy()
        for domain in prepared.domains
    ]
    counts = np.concatenate([[0], items[TRAIN_COUNT].to_numpy()]).astype(np.int64)
    modalities = sorted((prepared.folder / MODALITIES_FOLDER).glob("*.npy"))
    return Catalog(
        fingerprint=str(prepared.manifest["hash"]),
        domains=prepared.domains,
        slices=SLICES,
        num_users=len(prepared.users()),
        num_items=len(items),
        train_counts=torch.from_numpy(counts),
        candidates=tuple(torch.from_numpy(rows.astype(np.int64)) for rows in candidates),
        protocol=prepared.protocol,
        ties=prepared.manifest["config"]["split"]["ties"],
        histories=partial(training_histories, prepared),
        tags=partial(read_tags, prepared),
        modalities={path.stem: partial(_read_array, path) for path in modalities},
    )


def training_histories(log: Prepared | Histories) -> TrainingHistories:
    """Return the training events of a log: those of each user before ``train_ends``."""
    starts = log.offsets[:-1]
    lengths = log.train_ends - starts
    offsets = np.concatenate([[0], lengths.cumsum()]).astype(np.int64)
    places = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    return TrainingHistories(
        offsets=torch.from_numpy(offsets),
        item_ids=torch.from_numpy(log.item_ids[places].astype(np.int64)),
        times=torch.from_numpy(log.times[places].astype(np.int64)),
    )


def read_tags(prepared: Prepared) -> dict[str, Tensor]:
    """Return the edges of `TAG_EDGES` that a data set has, as `Catalog.tags` describes them."""
    space = read_node_space(prepared)
    num_users = space.sizes[USER_NODE]  # the first nodes there, which no such edge joins
    tags = {}
    for kind in edge_types(prepared):
        if kind.name in TAG_EDGES:
            rows = scan_edges(prepared, kind).collect()
            ends = (space.nodes(kind.left, rows[LEFT]), space.nodes(kind.right, rows[RIGHT]))
            pairs = np.stack(ends, axis=1).astype(np.int64) - num_users
            if len(pairs) > 0:
                tags[kind.name] = torch.from_numpy(pairs)
    return tags


def user_vector_reader(prepared: Prepared, store: KnowledgeStore) -> Callable[[], Tensor] | None:
    """Return what reads the vectors of users, ``None`` where the store holds none."""
    if "user" not in store.index["kind"]:
        return None
    return partial(_read_user_vectors, prepared, store)


def _read_user_vectors(prepared: Prepared, store: KnowledgeStore) -> Tensor:
    rows = store.vectors("user", prepared.users()[USER_ID].to_list())
    return torch.cat([rows.new_zeros(1, rows.size(1)), rows])


def _read_array(path: Path) -> Tensor:
    # Copied on writing, for torch warns of memory that cannot be written.
    return torch.from_numpy(np.load(path, mmap_mode="c"))
