"""Frames of all shards -> files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.tables import InteractionsConfig, ItemsConfig
from xrec_lightning.data.engine import writing
from xrec_lightning.data.engine.engines import LocalEngine
from xrec_lightning.data.engine.workspace import MemoryWorkspace
from xrec_lightning.data.prepare import prepare
from xrec_lightning.data.prepared import Prepared

MakeRich = Callable[..., PrepareConfig]


@pytest.mark.parametrize("at_a_time", [1, 7, 10**6])
def test_edges_between_items_are_merged_in_any_ranges(
    make_rich: MakeRich, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at_a_time: int
) -> None:
    config = make_rich()
    whole = Prepared.open(prepare(config)).graph("item_item")
    monkeypatch.setattr(writing, "EDGES_AT_A_TIME", at_a_time)
    config = replace(config, output=str(tmp_path / "parts"))
    parts = Prepared.open(prepare(config, rows_per_shard=100)).graph("item_item")
    assert parts.equals(whole)
    assert whole["count"].max() > 1


def test_edges_between_items_are_a_plain_count(make_rich: MakeRich) -> None:
    prepared = Prepared.open(prepare(make_rich(), rows_per_shard=100))
    expected: dict[tuple[int, int], int] = {}
    for start, end in zip(prepared.offsets[:-1], prepared.train_ends, strict=True):
        items = prepared.item_ids[start:end].tolist()
        for place, item in enumerate(items):
            for other in items[place + 1 : place + 6]:
                if item != other:
                    pair = (min(item, other), max(item, other))
                    expected[pair] = expected.get(pair, 0) + 1
    edges = prepared.graph("item_item").rows()
    assert {(left, right): count for left, right, count in edges} == expected
    assert prepared.manifest["graph"]["item_item"] == len(expected)


def test_rejected_rows_of_all_tables_are_in_the_order_of_the_files(make_rich: MakeRich) -> None:
    prepared = Prepared.open(prepare(make_rich(), rows_per_shard=100))
    rejected = pl.read_parquet(prepared.folder / "rejected.parquet")
    assert rejected.select("source", "row").rows() == sorted(
        rejected.select("source", "row").rows()
    )
    names = {Path(source).stem for source in rejected["source"]}
    assert {"links", "triples", "log2"} <= names
    assert sum(prepared.manifest["rejected"].values()) == len(rejected)


@pytest.mark.parametrize("rows_per_shard", [100, 10**6])
def test_only_the_folder_remains(make_rich: MakeRich, rows_per_shard: int) -> None:
    folder = prepare(make_rich(), rows_per_shard=rows_per_shard)
    assert {path.name for path in folder.iterdir()} == {
        "graph",
        "interactions.parquet",
        "items.parquet",
        "manifest.json",
        "rejected.parquet",
        "sequences",
        "targets",
        "users.parquet",
    }


def test_frames_are_held_as_long_as_they_are_needed(
    make_rich: MakeRich, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: dict[str, set[str]] = {}
    frames: list[MemoryWorkspace] = []

    class Watched(MemoryWorkspace):
        def __init__(self) -> None:
            super().__init__()
            frames.append(self)

    def note(name: str) -> Callable[..., None]:
        original = getattr(writing, name)

        def run(*arguments: object) -> object:
            held[name] = {each for each, _ in frames[0].frames}
            return original(*arguments)

        monkeypatch.setattr(f"xrec_lightning.data.prepare.{name}", run)
        return run

    monkeypatch.setattr("xrec_lightning.data.prepare.MemoryWorkspace", Watched)
    for name in ("write_sequences", "write_graph", "write_frames"):
        note(name)
    prepare(make_rich())
    always = {"events", "hidden", "rejected"}
    assert held["write_sequences"] - always == {"dislikes"}
    assert held["write_graph"] - always == {"val", "test"}
    assert held["write_frames"] - always == {"val", "test"}


def test_secrets_of_addresses_are_not_kept() -> None:
    address = "https://me:secret@host/log.csv?token=secret"
    config = PrepareConfig(
        interactions=InteractionsConfig(path=[address, "logs/a?.csv"]),
        items=ItemsConfig(path=address, vectors={"image": address, "audio": "sound"}),
        domains={"path": "Paths", "vectors": "Vectors"},
    )
    shown = writing.describe_config(config)
    assert "secret" not in str(shown)
    assert shown["interactions"]["path"] == ["https://host/log.csv", "logs/a?.csv"]
    assert shown["items"]["path"] == "https://host/log.csv"
    assert shown["items"]["vectors"] == {"image": "https://host/log.csv", "audio": "sound"}
    assert shown["domains"] == {"path": "Paths", "vectors": "Vectors"}
    assert (shown["users"], shown["seed"]) == (None, 0)


def test_vectors_that_are_not_finite_are_refused_by_row(
    make_rich: MakeRich, tmp_path: Path
) -> None:
    config = make_rich()
    vectors = np.ones((14, 2), np.float32)
    vectors[3, 1] = np.nan
    np.save(tmp_path / "v.npy", vectors)
    items = replace(config.items, vectors={"image": str(tmp_path / "v.npy")})
    with pytest.raises(ValueError, match=r"vector in row 3 \(item `i3`\)"):
        prepare(replace(config, items=items), LocalEngine())
    assert list(Path(config.output).iterdir()) == []
