from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.engine.writer import SequenceWriter, write_manifest, write_tables
from xrec_lightning.data.prepared import Prepared

# User 2 has no events in the store; the users are of two shards.
EVENTS = pl.DataFrame(
    {
        "user_index": [1, 1, 1, 3],
        "item_index": [4, 5, 6, 4],
        "domain_index": [1, 2, 1, 1],
        "timestamp": [10, 20, 30, 5],
        "split": ["train", "train", "test", "unused"],
    }
)


def write_events(folder: Path) -> None:
    writer = SequenceWriter(folder, num_users=3, num_events=4, with_weights=False)
    writer.add(EVENTS[:3], np.array([0, 3]), np.array([2]))
    writer.add(EVENTS[3:], np.array([0, 0, 1]), np.array([0, 0]))
    writer.close()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_events(tmp_path)
    names = ["interactions", "items", "users", "targets/val", "graph/item_item"]
    tables = {f"{name}.parquet": pl.DataFrame({"name": [name]}) for name in names}
    write_tables(tmp_path, tables)
    write_manifest(tmp_path, {"domains": ["pots", "Tee für alle"]})
    prepared = Prepared.open(tmp_path)
    assert prepared.domains == ("pots", "Tee für alle")
    read = [prepared.interactions().collect(), prepared.items(), prepared.users()]
    read += [prepared.targets("val"), prepared.graph("item_item")]
    assert [frame.item() for frame in read] == names
    assert isinstance(prepared.times, np.memmap)
    assert prepared.times.tolist() == [10, 20, 30, 5]
    assert prepared.domain_ids.tolist() == [1, 2, 1, 1]
    assert prepared.offsets.tolist() == [0, 3, 3, 4]
    assert prepared.train_ends.tolist() == [2, 3, 3]
    arrays = (prepared.offsets, prepared.item_ids, prepared.times)
    assert [array.dtype.str[1:] for array in arrays] == ["i8", "i4", "i8"]
    assert prepared.offsets is prepared.offsets


def test_weights_and_dislikes_are_read_where_they_are_written(tmp_path: Path) -> None:
    write_events(tmp_path)
    write_manifest(tmp_path, {})
    without = Prepared.open(tmp_path)
    assert without.weights is None
    assert without.dislikes is None
    arrays = {"weights": [1.0, 0.5], "dislike_offsets": [0, 1, 1, 2], "dislike_ids": [7, 4]}
    for name, values in arrays.items():
        np.save(tmp_path / "sequences" / f"{name}.npy", np.array(values))
    prepared = Prepared.open(tmp_path)
    assert prepared.weights is not None
    assert prepared.weights.tolist() == [1.0, 0.5]
    assert prepared.dislikes is not None
    assert [part.tolist() for part in prepared.dislikes] == [[0, 1, 1, 2], [7, 4]]


def test_a_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="xrec prepare"):
        Prepared.open(tmp_path)
