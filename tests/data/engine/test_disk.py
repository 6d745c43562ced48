"""A full disk: `/dev/full` fails as one does."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.engine import disk, writer
from xrec_lightning.data.engine.workspace import FolderWorkspace
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import prepare

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
MANY = pl.DataFrame({"a": range(100_000)})


def write_bytes() -> None:
    with FULL.open("wb") as file:
        file.write(b"x" * 100_000)


def write_array() -> None:
    with writer.ArrayFile(FULL, np.int64, 100_000) as file:
        file.add(np.arange(100_000))


@needs_full
@pytest.mark.parametrize(
    "write",
    [
        write_bytes,
        write_array,
        lambda: writer.write_array(FULL, np.arange(100_000)),
        lambda: MANY.write_parquet(FULL),
        lambda: MANY.lazy().sink_parquet(FULL),
    ],
    ids=["bytes", "parts", "array", "parquet", "sink"],
)
def test_every_kind_of_write_says_that_the_disk_is_full(write: Callable[[], None]) -> None:
    with (
        pytest.raises(InputError, match=r"out: no space is left on its disk.* `output`"),
        disk.explain_full_disk(Path("out")),
    ):
        write()


@pytest.mark.parametrize(
    "error", [OSError(errno.EACCES, "denied"), pl.exceptions.ComputeError("x"), ValueError("28")]
)
def test_other_errors_stay(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, disk.explain_full_disk(Path("out")):
        raise error
    assert caught.value is error


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("owner", "name", "rows_per_shard"),
    [
        (writer.ArrayFile, "add", 10**6),
        (writer, "write_array", 10**6),
        (pl.LazyFrame, "sink_parquet", 10**6),
        (Path, "write_text", 10**6),
        (writer.ArrayFile, "add", 100),
        (pl.LazyFrame, "sink_parquet", 100),
        (FolderWorkspace, "put", 100),
    ],
)
def test_a_full_disk_leaves_no_folder(
    make_rich: Callable[..., PrepareConfig],
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
    rows_per_shard: int,
) -> None:
    config = make_rich()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, full)
        with pytest.raises(InputError, match="no space is left"):
            prepare(config, rows_per_shard=rows_per_shard)
    assert list(Path(config.output).iterdir()) == []
    assert prepare(config, rows_per_shard=rows_per_shard).is_dir()
