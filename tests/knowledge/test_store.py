import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from xrec_lightning.knowledge.store import (
    KnowledgeStore,
    StoreError,
    StoreSpec,
    digest,
    store_fingerprint,
)
from xrec_lightning.knowledge.writer import StoreBuild, encode_work

SPEC = StoreSpec(model="m", adapter=None, weights="w", pooling="mean", max_tokens=8)
ROWS = [("item", "a", "x"), ("item", "b", "yy"), ("item", "c", None), ("user", "a", "x")]


def encode(
    texts: Sequence[str], _: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
    yield np.arange(len(texts)), torch.tensor([[len(text), 7.0] for text in texts])


def write(folder: Path, rows: list[tuple[str, str, str | None]], spec: StoreSpec) -> KnowledgeStore:
    build = StoreBuild(folder, pl.DataFrame(rows, ["kind", "id", "text"], orient="row"), spec)
    encode_work(build.shards, build.work(), spec.dtype, encode)
    return build.finish()


@pytest.fixture
def store(tmp_path: Path) -> KnowledgeStore:
    return write(tmp_path / "store", ROWS, SPEC)


def test_vectors_follow_the_order_of_the_ids(store: KnowledgeStore) -> None:
    assert store.vectors("item", ["b", "a", "b"]).tolist() == [[2, 7], [1, 7], [2, 7]]


def test_ids_without_text_and_unknown_ids_get_zero_rows(store: KnowledgeStore) -> None:
    assert store.vectors("item", ["c", "nobody"]).tolist() == [[0, 0], [0, 0]]
    assert store.vectors("domain", ["a"]).tolist() == [[0, 0]]


def test_no_ids_give_no_rows(store: KnowledgeStore) -> None:
    assert store.vectors("item", []).shape == (0, 2)


def test_equal_texts_share_one_row(store: KnowledgeStore) -> None:
    assert store.columns["vectors"].shape == (2, 2)
    assert store.rows("item", ["a"]) == store.rows("user", ["a"])


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_small_formats_are_read_as_float32(tmp_path: Path, dtype: str) -> None:
    store = write(tmp_path / "s", ROWS, replace(SPEC, dtype=dtype))
    assert str(store.columns["vectors"].dtype) == f"torch.{dtype}"
    vectors = store.vectors("item", ["a", "c"])
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors, torch.tensor([[1.0, 7.0], [0.0, 0.0]]), atol=0.03, rtol=0)


def test_a_missing_store_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="xrec embed"):
        KnowledgeStore.open(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"weights": "v"},
        {"pooling": "last"},
        {"max_tokens": 9},
        {"dtype": "float16"},
        {"precision": "int8"},
        {"truncate_dim": 1},
        {"normalize": True},
    ],
)
def test_all_that_decides_a_vector_is_in_its_key(change: dict[str, str]) -> None:
    assert replace(SPEC, **change).key("text") != SPEC.key("text")  # type: ignore[arg-type]  # mixed


def test_stores_written_before_keep_their_keys() -> None:
    assert SPEC.key("text") == digest(["w", "mean", "8", "float32", "text"])


def test_the_name_of_a_model_is_not_in_the_key() -> None:
    renamed = StoreSpec(model="n", adapter="a", weights="w", pooling="mean", max_tokens=8)
    assert renamed.key("text") == SPEC.key("text")


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_a_digest_tells_lists_of_parts_apart(left: list[str], right: list[str]) -> None:
    assert (digest(left) == digest(right)) == (left == right)


def test_the_fingerprint_depends_on_ids_and_texts(store: KnowledgeStore) -> None:
    assert store.fingerprint == store_fingerprint(store.index)
    renamed = store.index.with_columns(id=pl.lit("z"))
    assert store_fingerprint(renamed) != store.fingerprint


def damaged(folder: Path, name: str, damage: Callable[[bytes], bytes]) -> KnowledgeStore:
    path = folder / name
    path.write_bytes(damage(path.read_bytes()))
    return KnowledgeStore.open(folder)


@pytest.mark.parametrize("kept", [0, 5, 60, -1])
def test_cut_off_vectors_are_refused(store: KnowledgeStore, kept: int) -> None:
    cut = damaged(store.folder, "vectors.safetensors", lambda data: data[:kept])
    with pytest.raises(StoreError, match=r"store/vectors\.safetensors: not readable.*embed"):
        cut.vectors("item", ["a"])


def test_one_damaged_bit_is_refused(store: KnowledgeStore) -> None:
    flipped = damaged(
        store.folder, "vectors.safetensors", lambda data: data[:-1] + bytes([data[-1] ^ 1])
    )
    with pytest.raises(StoreError, match=r"vectors\.safetensors: .*damaged.*remove the folder"):
        flipped.vectors("item", ["a"])


def test_vectors_of_another_model_are_refused(store: KnowledgeStore, tmp_path: Path) -> None:
    other = write(tmp_path / "other", ROWS, replace(SPEC, weights="v"))
    for name in ("vectors.safetensors", "index.parquet"):
        (store.folder / name).write_bytes((other.folder / name).read_bytes())
    with pytest.raises(StoreError, match=r"store/index\.parquet: .*another store"):
        KnowledgeStore.open(store.folder).vectors("item", ["a"])


def test_an_index_of_more_texts_is_refused(store: KnowledgeStore, tmp_path: Path) -> None:
    other = write(tmp_path / "other", [*ROWS, ("user", "z", "zzz")], SPEC)
    (store.folder / "vectors.safetensors").write_bytes(
        (other.folder / "vectors.safetensors").read_bytes()
    )
    with pytest.raises(StoreError, match=r"vectors of shape \(3, 2\).* \(2, 2\)"):
        KnowledgeStore.open(store.folder).vectors("item", ["a"])


@pytest.mark.parametrize("name", ["index.parquet", "store.json"])
def test_a_broken_index_or_description_is_named(store: KnowledgeStore, name: str) -> None:
    with pytest.raises(StoreError, match=rf"store/{name}: not readable.*xrec embed"):
        damaged(store.folder, name, lambda data: data[:20]).vectors("item", ["a"])


def test_a_description_without_width_is_refused(store: KnowledgeStore) -> None:
    with pytest.raises(StoreError, match=r"store\.json.*dim"):
        damaged(store.folder, "store.json", lambda data: data.replace(b'"dim"', b'"dam"'))


def test_a_store_without_checksum_is_read(store: KnowledgeStore) -> None:
    path = store.folder / "store.json"
    description = json.loads(path.read_text())
    del description["checksum"]
    path.write_text(json.dumps(description))
    assert KnowledgeStore.open(store.folder).vectors("item", ["a"]).tolist() == [[1, 7]]
