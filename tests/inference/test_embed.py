from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.corpus import knowledge_texts
from xrec_lightning.inference import embed as subject
from xrec_lightning.inference.embed import EmbedConfig, embed
from xrec_lightning.knowledge.store import KnowledgeStore


@pytest.fixture
def config(tiny_dataset: Path, tiny_language: str, tmp_path: Path) -> EmbedConfig:
    return EmbedConfig(
        dataset=tiny_dataset, output=tmp_path / "store", model=tiny_language, batch_tokens=50
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_vectors_equal_a_plain_forward_of_each_text(config: EmbedConfig) -> None:
    store = KnowledgeStore.open(embed(config))
    tokenizer = AutoTokenizer.from_pretrained(config.model)
    plain = AutoModel.from_pretrained(config.model).eval()
    rows = knowledge_texts(Prepared.open(locate(config.dataset))).drop_nulls("text")
    assert set(rows["kind"]) == {"item", "domain"}
    for kind, name, text in rows.select("kind", "id", "text").iter_rows():
        with torch.inference_mode():
            encoded = tokenizer(text, return_tensors="pt", truncation=True, max_length=128)
            expected = plain(**encoded).last_hidden_state[0].mean(dim=0)
        actual = store.vectors(kind, [name])[0]
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def test_items_without_text_are_zero(config: EmbedConfig) -> None:
    store = KnowledgeStore.open(embed(config))
    assert store.vectors("item", ["i29"]).abs().sum() == 0
    assert store.vectors("item", ["i28"]).abs().sum() > 0


def test_a_second_run_encodes_nothing(config: EmbedConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(embed(config))
    monkeypatch.setattr(subject, "encode_texts", None)
    assert contents(embed(config)) == before


def test_equal_runs_write_equal_bytes(config: EmbedConfig, tmp_path: Path) -> None:
    other = embed(replace(config, output=tmp_path / "other"))
    assert contents(other) == contents(embed(config))


def test_only_the_asked_kinds_are_embedded(config: EmbedConfig) -> None:
    store = KnowledgeStore.open(embed(replace(config, kinds=("domain",))))
    assert store.index["kind"].unique().to_list() == ["domain"]


def test_another_pooling_is_another_store(config: EmbedConfig, tmp_path: Path) -> None:
    mean = KnowledgeStore.open(embed(config))
    first = replace(config, pooling="first", output=tmp_path / "first")
    assert KnowledgeStore.open(embed(first)).fingerprint != mean.fingerprint
