"""Frames between steps."""

from pathlib import Path

import polars as pl
import pytest

from xrec_lightning.data.engine.workspace import FolderWorkspace, MemoryWorkspace, Workspace

ROWS = pl.DataFrame(
    {"source": ["log.csv", "b.csv"], "number": [1, None]},
    schema={"source": pl.Enum(["log.csv", "b.csv"]), "number": pl.Int32},
)


@pytest.fixture(params=["memory", "folder"])
def frames(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    return MemoryWorkspace() if request.param == "memory" else FolderWorkspace(tmp_path / "work")


def test_what_is_put_is_given_back(frames: Workspace) -> None:
    assert not frames.has("rows", 3)
    frames.put("rows", 3, ROWS)
    frames.put("rows", 0, ROWS.clear())
    assert frames.has("rows", 3)
    assert not frames.has("rows", 1)
    for shard, rows in ((3, ROWS), (0, ROWS.clear())):
        assert frames.get("rows", shard).equals(rows)
        assert frames.get("rows", shard).schema == ROWS.schema
    assert frames.scan("rows", [3, 0, 3]).collect().equals(pl.concat([ROWS, ROWS]))


def test_what_is_put_again_takes_the_place(frames: Workspace) -> None:
    frames.put("rows", 0, ROWS)
    frames.put("rows", 0, frames.get("rows", 0).head(1))
    assert frames.get("rows", 0).equals(ROWS.head(1))


def test_what_is_taken_or_dropped_is_gone(frames: Workspace) -> None:
    frames.put("rows", 0, ROWS)
    frames.put("rows", 1, ROWS)
    assert frames.take("rows", 0).equals(ROWS)
    frames.drop("rows", 1)
    assert not frames.has("rows", 0)
    assert not frames.has("rows", 1)


def test_files_of_what_is_gone_are_removed(tmp_path: Path) -> None:
    frames = FolderWorkspace(tmp_path)
    frames.put("rows", 0, ROWS)
    frames.put("rows", 1, ROWS)
    frames.take("rows", 0)
    frames.drop("rows", 1)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
