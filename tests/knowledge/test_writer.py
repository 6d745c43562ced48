import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrec_lightning.knowledge.store import KnowledgeStore, StoreError, StoreSpec
from xrec_lightning.knowledge.writer import Encode, StoreBuild, encode_work

SPEC = StoreSpec(model="m", adapter=None, weights="w", pooling="mean", max_tokens=8)

BUILDS = """
import os, random, signal, sys, time
from pathlib import Path
import numpy as np, polars as pl, torch
from xrec_lightning.knowledge.store import StoreSpec
from xrec_lightning.knowledge.writer import StoreBuild, encode_work

def build(folder, dtype, pause, shard_texts):
    entries = pl.DataFrame(
        {
            "kind": ["item"] * 60,
            "id": [str(i) for i in range(60)],
            "text": [f"text {'x' * (i % 5)} {i}" for i in range(60)],
        }
    )
    spec = StoreSpec(
        model="m", adapter=None, weights="w", pooling="mean", max_tokens=8, dtype=dtype
    )

    def encode(texts, is_done):
        for start in range(0, 60, 7):
            rows = np.arange(start, min(start + 7, 60))
            if not is_done[rows].all():
                time.sleep(pause)
                width = max(len(texts[row]) for row in rows)  # as padding does, it decides bits
                yield rows, torch.tensor([[len(texts[row]) / width, row / 3] for row in rows])

    made = StoreBuild(folder, entries, spec)
    encode_work(made.shards, made.work(), dtype, encode, shard_texts)
    made.finish()

def start(*arguments):
    child = os.fork()  # before any frame is made, so that no thread is lost
    if child == 0:
        build(*arguments)
        os._exit(0)
    return child

generator = random.Random(0)
for dtype in ("float32", "int8"):
    os.waitpid(start(Path(sys.argv[1]) / dtype / "whole", dtype, 0, 1000), 0)
    killed = Path(sys.argv[1]) / dtype / "killed"
    for shard_texts in (1, 8, 1, 9):
        child = start(killed, dtype, 0.1, shard_texts)
        time.sleep(generator.uniform(0.05, 0.4))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        shards = len(list((killed.parent / ".killed.shards").glob("*.safetensors")))
        print(os.WIFSIGNALED(status), shards)
    os.waitpid(start(killed, dtype, 0, 1000), 0)
"""


class Encoder:
    """Encode a text as its length, two at a time, and remember what was asked for."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(
        self, texts: Sequence[str], is_done: NDArray[np.bool_]
    ) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        for start in range(0, len(texts), 2):
            rows = np.arange(start, min(start + 2, len(texts)))
            if not is_done[rows].all():
                batch = [texts[row] for row in rows]
                self.calls.append(batch)
                yield rows, torch.tensor([[float(len(text)), 1.0] for text in batch])


def entries(*texts: str | None) -> pl.DataFrame:
    ids = [f"i{n}" for n in range(len(texts))]
    return pl.DataFrame(
        {"kind": ["item"] * len(texts), "id": ids, "text": list(texts)},
        schema_overrides={"text": pl.String},
    )


def write(
    folder: Path,
    rows: pl.DataFrame,
    encode: Encode,
    spec: StoreSpec = SPEC,
    shard_texts: int = 1024,
) -> KnowledgeStore:
    build = StoreBuild(folder, rows, spec)
    encode_work(build.shards, build.work(), spec.dtype, encode, shard_texts)
    return build.finish()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def calls(folder: Path, rows: pl.DataFrame, spec: StoreSpec = SPEC) -> list[list[str]]:
    """Write a store and return what was encoded."""
    encoder = Encoder()
    write(folder, rows, encoder, spec)
    return encoder.calls


def test_each_distinct_text_is_encoded_once_and_shortest_first(tmp_path: Path) -> None:
    asked = calls(tmp_path / "s", entries("ccc", "a", "bb", "a", None, ""))
    assert asked == [["a", "bb"], ["ccc"]]


def test_shards_hold_whole_batches_and_progress_counts_texts(tmp_path: Path) -> None:
    build = StoreBuild(tmp_path / "s", entries("a", "bb", "ccc", "dddd", "eeeee"), SPEC)
    progress: list[int] = []
    encode_work(build.shards, build.work(), "float32", Encoder(), 3, progress.append)
    assert sorted(len(shard.keys) for shard in build.shards.read()) == [1, 4]
    assert progress == [2, 2, 1]


def test_only_missing_texts_are_encoded_again(tmp_path: Path) -> None:
    calls(tmp_path / "s", entries("a", "bb"))
    encoder = Encoder()
    store = write(tmp_path / "s", entries("bb", "ccc"), encoder)
    assert encoder.calls == [["ccc"]]
    assert store.vectors("item", ["i0", "i1"]).tolist() == [[2, 1], [3, 1]]
    assert len(store.columns["vectors"]) == 2


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_small_formats_grow_without_being_rounded_twice(tmp_path: Path, dtype: str) -> None:
    spec = replace(SPEC, dtype=dtype)
    texts = ["a", "bb", "ccc", "dddd", "eeeee", "ffffff"]
    whole = write(tmp_path / "whole", entries(*texts), Encoder(), spec)
    write(tmp_path / "s", entries(*texts[:4]), Encoder(), spec)
    write(tmp_path / "s", entries(*texts), Encoder(), spec)
    assert contents(tmp_path / "s") == contents(whole.folder)


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    calls(tmp_path / "s", entries("a", "bb"))
    before = (tmp_path / "s" / "store.json").stat().st_mtime_ns
    assert calls(tmp_path / "s", entries("a", "bb")) == []
    assert (tmp_path / "s" / "store.json").stat().st_mtime_ns == before


def test_a_tuned_model_encodes_everything_again(tmp_path: Path) -> None:
    calls(tmp_path / "s", entries("a"))
    assert calls(tmp_path / "s", entries("a"), replace(SPEC, weights="tuned")) == [["a"]]


@pytest.mark.parametrize("change", [{"model": "n"}, {"adapter": "a"}])
def test_a_store_of_another_model_is_not_replaced(tmp_path: Path, change: dict[str, str]) -> None:
    calls(tmp_path / "s", entries("a"))
    other = replace(SPEC, weights="v", **change)  # type: ignore[arg-type]  # mixed
    with pytest.raises(StoreError, match=r"s/store\.json: built by model m .* another `output`"):
        StoreBuild(tmp_path / "s", entries("a"), other)


def test_the_same_weights_by_another_name_go_on(tmp_path: Path) -> None:
    calls(tmp_path / "s", entries("a"))
    assert calls(tmp_path / "s", entries("a"), replace(SPEC, model="n")) == []


def test_a_broken_store_is_not_built_upon(tmp_path: Path) -> None:
    calls(tmp_path / "s", entries("a"))
    path = tmp_path / "s" / "vectors.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"vectors\.safetensors"):
        calls(tmp_path / "s", entries("a", "bb"))


def test_a_failed_build_keeps_the_old_store_and_its_finished_shards(tmp_path: Path) -> None:
    calls(tmp_path / "s", entries("a"))
    before = contents(tmp_path / "s")

    def fail(
        texts: Sequence[str], is_done: NDArray[np.bool_]
    ) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        yield next(Encoder()(texts, is_done))
        raise MemoryError("full")

    with pytest.raises(MemoryError, match="full"):
        write(tmp_path / "s", entries("bb", "ccc", "dddd"), fail, shard_texts=1)
    assert contents(tmp_path / "s") == before
    assert calls(tmp_path / "s", entries("bb", "ccc", "dddd")) == [["dddd"]]


def test_what_a_killed_build_left_is_of_use_when_texts_have_changed(tmp_path: Path) -> None:
    build = StoreBuild(tmp_path / "s", entries("a", "bb", "ccc"), SPEC)
    encode_work(build.shards, build.work(), "float32", Encoder())
    assert calls(tmp_path / "s", entries("bb", "ccc", "dddd", "eeeee")) == [["dddd", "eeeee"]]


def test_a_replacement_killed_halfway_is_undone(tmp_path: Path) -> None:
    calls(tmp_path / "s", entries("a"))
    (tmp_path / "s").rename(tmp_path / ".s.old")
    assert calls(tmp_path / "s", entries("a")) == []


def test_no_text_at_all_makes_an_empty_store(tmp_path: Path) -> None:
    store = write(tmp_path / "s", entries(None), Encoder())
    assert store.vectors("item", ["i0"]).shape == (1, 0)


def test_a_build_killed_at_any_time_ends_with_the_same_bytes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUILDS, str(tmp_path)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")
    assert sum(line.startswith("True") for line in lines) >= 4  # some of eight may come too late
    assert len(set(filter(None, lines))) > 2  # at different numbers of shards
    for dtype in ("float32", "int8"):
        assert contents(tmp_path / dtype / "killed") == contents(tmp_path / dtype / "whole")
        names = {path.name for path in (tmp_path / dtype).iterdir()}
        assert names == {"killed", "whole"}
