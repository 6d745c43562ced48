"""Our own runs: a data YAML to its prepared folder. `python ours.py core|ready|full DATA.yaml`.

`core` ends with the sequence store, as `bare.py` does; `ready` adds what validation reads, targets
with histories and slices, where the peers end; `full` is `xrec prepare`: leak checks, hashes,
graph, tables, manifest.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from measure import measured

from xrec_lightning.data.config.load import PrepareConfig, load_config
from xrec_lightning.data.engine.assembling import clean_log, index_tables, split_log
from xrec_lightning.data.engine.engines import LocalEngine
from xrec_lightning.data.engine.indexing import EVENTS, HIDDEN, index_shard
from xrec_lightning.data.engine.opening import open_inputs
from xrec_lightning.data.engine.shards import Shards
from xrec_lightning.data.engine.workspace import MemoryWorkspace
from xrec_lightning.data.engine.writing import write_sequences
from xrec_lightning.data.prepare import ROWS_PER_SHARD, prepare
from xrec_lightning.data.raw.inputs import Inputs, find_inputs
from xrec_lightning.data.steps.targets import make_targets


def run_part(config: PrepareConfig, inputs: Inputs, folder: Path, with_targets: bool) -> None:
    """Read, index, clean and split, and write the sequence store; and the targets if wanted."""
    engine = LocalEngine()
    opened = open_inputs(config, inputs, folder, engine, ROWS_PER_SHARD)
    shards = Shards(config, opened.log, MemoryWorkspace())
    clean = clean_log(shards, opened.items, engine)
    split = split_log(shards, clean, opened.items, engine)
    tables = index_tables(shards, clean, split, opened.items, opened.users)
    step = partial(index_shard, shards, tables.indices, tables.cold, split.cuts)
    parts = engine.map(step, shards.numbers)
    write_sequences(folder, shards, parts, len(tables.users))
    tables.users.write_parquet(folder / "users.parquet")
    tables.items.write_parquet(folder / "items.parquet")
    if with_targets:
        counts = np.sum([part.train_counts for part in parts], axis=0)
        events, hidden = shards.frames.get(EVENTS, 0), shards.frames.get(HIDDEN, 0)
        for name in ("val", "test"):
            make_targets(events, hidden, name, counts).write_parquet(folder / f"{name}.parquet")


if __name__ == "__main__":
    kind, data = sys.argv[1], load_config(Path(sys.argv[2]))
    found = find_inputs(data)  # hashes the files, which only the full run counts
    with (
        tempfile.TemporaryDirectory() as temporary,
        measured("xrec-lightning", "polars", "numpy") as facts,
    ):
        if kind == "full":
            seconds: dict[str, float] = {}
            prepare(data, seconds=seconds)
            facts["steps"] = seconds
        else:
            run_part(data, found, Path(temporary), with_targets=kind == "ready")
