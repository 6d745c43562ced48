import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
import torch
from torch import Tensor

from xrec_lightning.knowledge.store import KnowledgeStore, StoreSpec
from xrec_lightning.knowledge.writer import build_store

SPEC = StoreSpec(model="m", adapter=None, weights="w", pooling="mean", max_tokens=8)

BUILD = """
import sys, time
from pathlib import Path
import polars as pl, torch
from xrec_lightning.knowledge.store import StoreSpec
from xrec_lightning.knowledge.writer import build_store

folder, pause = Path(sys.argv[1]), float(sys.argv[2])

def encode(texts):
    time.sleep(pause)
    width = max(map(len, texts))  # like padding: the batch decides the last bits
    return torch.tensor([[len(text) / width, 1.0] for text in texts])

texts = [f"text {'x' * (i % 5)} {i}" for i in range(40)]
entries = pl.DataFrame({"kind": ["item"] * 40, "id": [str(i) for i in range(40)], "text": texts})
spec = StoreSpec(model="m", adapter=None, weights="w", pooling="mean", max_tokens=8)
build_store(folder, entries, spec, encode, shard_texts=4)
"""


class Encoder:
    """Encode a text as its length, and remember what was asked for."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> Tensor:
        self.calls.append(list(texts))
        return torch.tensor([[float(len(text)), 1.0] for text in texts])


def entries(*texts: str | None) -> pl.DataFrame:
    ids = [f"i{n}" for n in range(len(texts))]
    return pl.DataFrame(
        {"kind": ["item"] * len(texts), "id": ids, "text": list(texts)},
        schema_overrides={"text": pl.String},
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_distinct_text_is_encoded_once_and_shortest_first(tmp_path: Path) -> None:
    encoder = Encoder()
    build_store(tmp_path / "s", entries("ccc", "a", "bb", "a", None, ""), SPEC, encoder)
    assert encoder.calls == [["a", "bb", "ccc"]]


def test_texts_are_encoded_in_shards(tmp_path: Path) -> None:
    encoder, progress = Encoder(), []
    build_store(
        tmp_path / "s",
        entries("a", "bb", "ccc"),
        SPEC,
        encoder,
        shard_texts=2,
        on_progress=progress.append,
    )
    assert encoder.calls == [["a", "bb"], ["ccc"]]
    assert sum(progress) == 3


def test_only_missing_texts_are_encoded_again(tmp_path: Path) -> None:
    build_store(tmp_path / "s", entries("a", "bb"), SPEC, Encoder())
    encoder = Encoder()
    store = build_store(tmp_path / "s", entries("bb", "ccc"), SPEC, encoder)
    assert encoder.calls == [["ccc"]]
    assert store.vectors("item", ["i0", "i1"]).tolist() == [[2, 1], [3, 1]]
    assert len(store.matrix) == 2


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    build_store(tmp_path / "s", entries("a", "bb"), SPEC, Encoder())
    before = (tmp_path / "s" / "store.json").stat().st_mtime_ns
    encoder = Encoder()
    build_store(tmp_path / "s", entries("a", "bb"), SPEC, encoder)
    assert encoder.calls == []
    assert (tmp_path / "s" / "store.json").stat().st_mtime_ns == before


def test_another_encoder_encodes_everything_again(tmp_path: Path) -> None:
    build_store(tmp_path / "s", entries("a"), SPEC, Encoder())
    encoder = Encoder()
    tuned = StoreSpec(model="m", adapter=None, weights="tuned", pooling="mean", max_tokens=8)
    build_store(tmp_path / "s", entries("a"), tuned, encoder)
    assert encoder.calls == [["a"]]


def test_a_failed_build_keeps_the_old_store_and_its_finished_shards(tmp_path: Path) -> None:
    build_store(tmp_path / "s", entries("a"), SPEC, Encoder())
    before = contents(tmp_path / "s")

    def fail(texts: Sequence[str]) -> Tensor:
        if "ccc" in texts:
            raise RuntimeError("out of memory")
        return torch.tensor([[float(len(text)), 1.0] for text in texts])

    with pytest.raises(RuntimeError, match="out of memory"):
        build_store(tmp_path / "s", entries("bb", "ccc"), SPEC, fail, shard_texts=1)
    assert contents(tmp_path / "s") == before
    encoder = Encoder()
    build_store(tmp_path / "s", entries("bb", "ccc"), SPEC, encoder, shard_texts=1)
    assert encoder.calls == [["ccc"]]


def test_a_replacement_killed_halfway_is_undone(tmp_path: Path) -> None:
    build_store(tmp_path / "s", entries("a"), SPEC, Encoder())
    (tmp_path / "s").rename(tmp_path / ".s.old")
    encoder = Encoder()
    build_store(tmp_path / "s", entries("a"), SPEC, encoder)
    assert encoder.calls == []


def test_no_text_at_all_makes_an_empty_store(tmp_path: Path) -> None:
    store = build_store(tmp_path / "s", entries(None), SPEC, Encoder())
    assert store.vectors("item", ["i0"]).shape == (1, 0)


def test_a_killed_build_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-c", BUILD]
    subprocess.run([*command, str(whole), "0"], check=True)
    process = subprocess.Popen([*command, str(killed), "0.3"])
    shards = tmp_path / ".killed.shards"
    deadline = time.monotonic() + 60
    while len(list(shards.glob("*.safetensors"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    assert 2 <= len(list(shards.glob("*.safetensors"))) < 10
    subprocess.run([*command, str(killed), "0"], check=True)
    assert contents(killed) == contents(whole)
    assert KnowledgeStore.open(killed).dim == 2
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
