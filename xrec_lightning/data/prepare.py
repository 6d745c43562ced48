"""The pipeline from raw files to a prepared folder."""

import logging
import shutil
from collections.abc import MutableMapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.load import PrepareConfig, load_config
from xrec_lightning.data.engine.assembling import (
    FinalTables,
    clean_log,
    index_tables,
    split_log,
)
from xrec_lightning.data.engine.disk import explain_full_disk
from xrec_lightning.data.engine.engines import Engine, LocalEngine
from xrec_lightning.data.engine.indexing import IndexedShard, Store, index_shard, target_shard
from xrec_lightning.data.engine.opening import open_inputs
from xrec_lightning.data.engine.progress import Steps, show_steps
from xrec_lightning.data.engine.shards import Shards
from xrec_lightning.data.engine.workspace import FolderWorkspace, MemoryWorkspace
from xrec_lightning.data.engine.writer import write_manifest
from xrec_lightning.data.engine.writing import (
    describe_config,
    describe_inputs,
    write_frames,
    write_graph,
    write_modalities,
    write_sequences,
)
from xrec_lightning.data.folders import atomic_folder
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.protocol import frozen_protocol, refuse_other_protocol, verified_hash
from xrec_lightning.data.raw.inputs import SCHEMA_VERSION, Inputs, find_inputs
from xrec_lightning.data.steps import manifest, validate
from xrec_lightning.data.steps.cuts import Cuts
from xrec_lightning.data.steps.runs import Ints
from xrec_lightning.data.steps.tables import add_counts
from xrec_lightning.data.text.verbalize import domain_labels

STEPS = ("read", "clean", "split", "index", "sequences", "targets", "graph", "write")
ROWS_PER_SHARD = 4_000_000
"""Larger logs are parted; a shard and its copies take about 2 GB of memory."""

_WORK = ".work"

logger = logging.getLogger(__name__)


def prepare(
    config: PrepareConfig,
    engine: Engine | None = None,
    rows_per_shard: int = ROWS_PER_SHARD,
    seconds: MutableMapping[str, float] | None = None,
) -> Path:
    """Return the prepared folder of ``config``, made now unless it exists already.

    The folder does not depend on the engine nor on the size of shards.

    Args:
        config: The data set.
        engine: What runs the steps; this process by default.
        rows_per_shard: About how many interactions are worked on at a time.
        seconds: Filled with the wall time of each of `STEPS`.

    Raises:
        InputError: If a file, a value or the split cannot be used, the data do not follow the
            protocol that the config names, or the disk is full.
        FileNotFoundError: If a path names no file.
    """
    frozen_protocol(config)  # a file that cannot be read is refused before the work
    inputs = find_inputs(config)
    folder = Path(config.output) / inputs.fingerprint
    if folder.exists():
        refuse_other_protocol(folder, config)
        logger.info("%s is up to date", folder)
        return folder
    with explain_full_disk(folder.parent), atomic_folder(folder) as temporary:
        if temporary is not None:
            with show_steps("prepare", STEPS, {} if seconds is None else seconds) as steps:
                _build(config, inputs, temporary, engine or LocalEngine(), rows_per_shard, steps)
    refuse_other_protocol(folder, config)  # another process may have made it
    return folder


def locate(dataset: Path) -> Path:
    """Return the prepared folder that ``dataset`` is, or that its data YAML describes.

    Raises:
        FileNotFoundError: If there is none yet; the message says how to make it.
        InputError: If it does not follow the protocol that the data YAML names.
    """
    if (dataset / schema.MANIFEST).is_file():
        return dataset
    if dataset.suffix not in (".yaml", ".yml") or not dataset.is_file():
        raise FileNotFoundError(
            f"{dataset}: neither a prepared folder nor a data YAML; run `xrec prepare` on a data "
            "YAML, it prints the folder"
        )
    config = load_config(dataset)
    folder = Path(config.output) / find_inputs(config).fingerprint
    if not folder.is_dir():
        raise FileNotFoundError(f"{dataset} is not prepared yet; run `xrec prepare {dataset}`")
    refuse_other_protocol(folder, config)
    return folder


def _build(
    config: PrepareConfig,
    inputs: Inputs,
    folder: Path,
    engine: Engine,
    rows_per_shard: int,
    steps: Steps,
) -> None:
    work = (folder / _WORK).absolute()
    opened = open_inputs(config, inputs, work, engine, rows_per_shard)
    in_memory = engine.shares_memory and opened.log.num_shards == 1
    shards = Shards(config, opened.log, MemoryWorkspace() if in_memory else FolderWorkspace(work))
    steps.done("read")
    clean = clean_log(shards, opened.items, engine)
    steps.done("clean")
    split = split_log(shards, clean, opened.items, engine)
    steps.done("split")
    tables = index_tables(shards, clean, split, opened.items, opened.users)
    domain_labels(tables.domains, config.domains, "domains")
    parts = engine.map(
        partial(index_shard, shards, tables.indices, tables.cold, split.cuts), shards.numbers
    )
    train_counts = np.sum([part.train_counts for part in parts], axis=0)
    is_hidden = (
        np.zeros_like(train_counts, dtype=bool) if tables.cold is None else tables.cold.items
    )
    tables = tables._replace(items=add_counts(tables.items, train_counts, is_hidden))
    steps.done("index")
    write_sequences(folder, shards, parts, len(tables.users))
    steps.done("sequences")
    store = _describe_store(parts, tables, train_counts, split.cuts)
    counts = engine.map(partial(target_shard, shards, store), shards.numbers)
    validate.refuse_empty_splits(counts)
    steps.done("targets")
    edges = write_graph(folder, shards, tables, opened.triples, engine)
    steps.done("graph")
    write_frames(folder, shards, tables, opened, engine)
    write_modalities(folder, tables, opened)
    rejected = pl.scan_parquet(folder / schema.REJECTED_FILE)
    facts = {
        "schema_version": SCHEMA_VERSION,
        "hash": inputs.fingerprint,
        "config": describe_config(config),
        "inputs": describe_inputs(inputs.hashes, clean),
        "domains": tables.domains,
        "slices": list(schema.SLICES),
        **manifest.describe(counts, tables.items, tables.users, tables.domains),
        "links": opened.linked,
        "contacts": opened.contacts,
        "graph": edges,
        "ties": manifest.describe_ties([part.ties for part in clean.parts]),
        "rejected": manifest.count_reasons(rejected),
    }
    facts["protocol"] = verified_hash(Prepared(folder, facts), config)
    if work.exists():
        shutil.rmtree(work)
    write_manifest(folder, facts)
    steps.done("write")


def _describe_store(
    parts: Sequence[IndexedShard], tables: FinalTables, train_counts: Ints, cuts: Cuts | None
) -> Store:
    has_text = tables.items[schema.TEXT].is_not_null().to_numpy()
    return Store(
        first_events=np.cumsum([0, *(part.offsets[-1] for part in parts)]).tolist(),
        first_users=np.cumsum([1, *(len(part.train_ends) for part in parts)]).tolist(),
        train_ends=[part.train_ends for part in parts],
        train_counts=train_counts,
        has_text=np.append(False, has_text),
        cold=tables.cold,
        cuts=cuts,
        num_domains=len(tables.domains),
    )
