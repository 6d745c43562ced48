"""Files of a prepared folder, from parts."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.engine import writer


def events(items: list[int], weights: list[float] | None = None) -> pl.DataFrame:
    columns = {
        "item_index": pl.Series(items, dtype=pl.Int32),
        "domain_index": pl.Series([1] * len(items), dtype=pl.Int32),
        "timestamp": pl.Series([item * 10 for item in items], dtype=pl.Int64),
    }
    rows = pl.DataFrame(columns)
    return (
        rows if weights is None else rows.with_columns(weight=pl.Series(weights, dtype=pl.Float32))
    )


def test_shards_follow_each_other_in_one_store(tmp_path: Path) -> None:
    parts = [
        (events([3, 1, 2], [1, 2, 0.5]), [0, 2, 3], [1, 3]),
        (events([], []), [0], []),
        (events([5], [1]), [0, 0, 1], [0, 1]),
    ]
    with writer.SequenceWriter(tmp_path, 4, 4, with_weights=True) as store:
        for rows, offsets, train_ends in parts:
            store.add(rows, np.array(offsets), np.array(train_ends, dtype=np.int64))
    expected = {
        "offsets": np.array([0, 2, 3, 3, 4], np.int64),
        "train_ends": np.array([1, 3, 3, 4], np.int64),
        "item_ids": np.array([3, 1, 2, 5], np.int32),
        "domain_ids": np.ones(4, np.int32),
        "times": np.array([30, 10, 20, 50], np.int64),
        "weights": np.array([1, 2, 0.5, 1], np.float32),
    }
    for name, values in expected.items():
        np.save(tmp_path / "plain.npy", values)
        written = tmp_path / "sequences" / f"{name}.npy"
        assert written.read_bytes() == (tmp_path / "plain.npy").read_bytes(), name
    assert len(list((tmp_path / "sequences").iterdir())) == len(expected)


def test_a_store_without_weights_or_events_can_be_read(tmp_path: Path) -> None:
    with writer.SequenceWriter(tmp_path, 1, 0, with_weights=False) as store:
        store.add(events([]), np.array([0, 0]), np.array([0]))
    found = {path.stem: np.load(path) for path in (tmp_path / "sequences").iterdir()}
    assert found["offsets"].tolist() == [0, 0]
    assert found["item_ids"].tolist() == []
    assert "weights" not in found


@pytest.mark.parametrize("shape", [(2, 3), (0, 3), (4,)])
def test_an_array_is_written_as_numpy_does(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)
    for name, array in (("a", values), ("b", values.T.copy().T)):
        writer.write_array(tmp_path / f"{name}.npy", array)
        assert np.array_equal(np.load(tmp_path / f"{name}.npy"), values)
    np.save(tmp_path / "c.npy", values)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "c.npy").read_bytes()


def test_dislikes_are_by_user_and_absent_without_any(tmp_path: Path) -> None:
    (tmp_path / "sequences").mkdir()
    dtypes = {"user_index": pl.Int32, "item_index": pl.Int32}
    dislikes = pl.DataFrame([(1, 4), (1, 7), (3, 2)], schema=dtypes, orient="row")
    writer.write_dislikes(tmp_path, dislikes.clear(), 4)
    assert list((tmp_path / "sequences").iterdir()) == []
    writer.write_dislikes(tmp_path, dislikes, 4)
    offsets = np.load(tmp_path / "sequences" / "dislike_offsets.npy")
    assert offsets.tolist() == [0, 2, 2, 3, 3]
    assert np.load(tmp_path / "sequences" / "dislike_ids.npy").tolist() == [4, 7, 2]


def test_frames_and_manifest_are_written(tmp_path: Path) -> None:
    rows = events([1, 2])
    writer.write_tables(tmp_path, {"a.parquet": rows, "sub/b.parquet": rows.lazy()})
    for name in ("a.parquet", "sub/b.parquet"):
        assert pl.read_parquet(tmp_path / name).equals(rows)
    writer.write_manifest(tmp_path, {"name": "Größe"})
    assert (tmp_path / "manifest.json").read_text(encoding="utf-8") == '{\n  "name": "Größe"\n}\n'
