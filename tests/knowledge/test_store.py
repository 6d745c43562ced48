from pathlib import Path

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.knowledge.store import KnowledgeStore, StoreSpec, digest, store_fingerprint
from xrec_lightning.knowledge.writer import build_store

SPEC = StoreSpec(model="m", adapter=None, weights="w", pooling="mean", max_tokens=8)


@pytest.fixture
def store(tmp_path: Path) -> KnowledgeStore:
    rows = [("item", "a", "x"), ("item", "b", "yy"), ("item", "c", None), ("user", "a", "x")]
    entries = pl.DataFrame(rows, schema=["kind", "id", "text"], orient="row")
    return build_store(
        tmp_path / "store",
        entries,
        SPEC,
        lambda texts: torch.tensor([[len(t), 7.0] for t in texts]),
    )


def test_vectors_follow_the_order_of_the_ids(store: KnowledgeStore) -> None:
    assert store.vectors("item", ["b", "a", "b"]).tolist() == [[2, 7], [1, 7], [2, 7]]


def test_ids_without_text_and_unknown_ids_get_zero_rows(store: KnowledgeStore) -> None:
    assert store.vectors("item", ["c", "nobody"]).tolist() == [[0, 0], [0, 0]]
    assert store.vectors("domain", ["a"]).tolist() == [[0, 0]]


def test_no_ids_give_no_rows(store: KnowledgeStore) -> None:
    assert store.vectors("item", []).shape == (0, 2)


def test_equal_texts_share_one_row(store: KnowledgeStore) -> None:
    assert store.matrix.shape == (2, 2)
    assert store.rows("item", ["a"]) == store.rows("user", ["a"])


def test_float16_vectors_are_read_as_float32(tmp_path: Path) -> None:
    spec = StoreSpec(
        model="m", adapter=None, weights="w", pooling="mean", max_tokens=8, dtype="float16"
    )
    entries = pl.DataFrame({"kind": ["item"], "id": ["a"], "text": ["x"]})
    store = build_store(tmp_path / "s", entries, spec, lambda texts: torch.full((1, 2), 0.1))
    assert store.matrix.dtype == torch.float16
    assert store.vectors("item", ["a"]).dtype == torch.float32


def test_a_missing_store_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="xrec embed"):
        KnowledgeStore.open(tmp_path)


@pytest.mark.parametrize(
    "change", [{"weights": "v"}, {"pooling": "last"}, {"max_tokens": 9}, {"dtype": "float16"}]
)
def test_all_that_decides_a_vector_is_in_its_key(change: dict[str, str]) -> None:
    fields = {
        "model": "m",
        "adapter": None,
        "weights": "w",
        "pooling": "mean",
        "max_tokens": 8,
        **change,
    }
    assert StoreSpec(**fields).key("text") != SPEC.key("text")  # type: ignore[arg-type]  # mixed


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
