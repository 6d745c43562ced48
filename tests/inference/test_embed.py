import json
from collections.abc import Iterator
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
from xrec_lightning.inference.encoding import TextEncoder
from xrec_lightning.knowledge.store import KnowledgeStore, StoreError


@pytest.fixture
def config(tiny_dataset: Path, tiny_language: str, tmp_path: Path) -> EmbedConfig:
    return EmbedConfig(
        dataset=tiny_dataset, output=tmp_path / "store", model=tiny_language, batch_tokens=50
    )


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts each call of an encoder was given."""
    counts: list[int] = []
    plain = subject.encode_here

    def count(encoder: TextEncoder, blocks: Iterator[torch.Tensor]) -> Iterator[torch.Tensor]:
        for vectors in plain(encoder, blocks):
            counts.append(len(vectors))
            yield vectors

    monkeypatch.setattr(subject, "encode_here", count)
    return counts


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


def test_a_second_run_encodes_nothing(config: EmbedConfig, encoded: list[int]) -> None:
    before = contents(embed(config))
    assert sum(encoded) == 31
    assert contents(embed(config)) == before
    assert sum(encoded) == 31


def test_equal_runs_write_equal_bytes_whatever_the_shards(
    config: EmbedConfig, tmp_path: Path
) -> None:
    other = embed(replace(config, output=tmp_path / "other", shard_texts=1))
    assert contents(other) == contents(embed(config))


def test_a_failed_run_goes_on_to_the_same_bytes(
    config: EmbedConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoded: list[int]
) -> None:
    whole = contents(embed(replace(config, output=tmp_path / "whole")))
    plain, calls = TextEncoder.encode, iter(range(3))

    def fail(self: TextEncoder, block: torch.Tensor) -> torch.Tensor:
        if next(calls, None) is None:
            raise MemoryError("full")
        return plain(self, block)  # type: ignore[arg-type]  # an array, whatever

    monkeypatch.setattr(TextEncoder, "encode", fail)
    with pytest.raises(MemoryError, match="full"):
        embed(replace(config, shard_texts=1))
    monkeypatch.setattr(TextEncoder, "encode", plain)
    encoded.clear()
    assert contents(embed(config)) == whole
    assert 0 < sum(encoded) < 31


def test_only_the_asked_kinds_are_embedded(config: EmbedConfig) -> None:
    store = KnowledgeStore.open(embed(replace(config, kinds=("domain",))))
    assert store.index["kind"].unique().to_list() == ["domain"]


def test_histories_are_of_the_asked_time_and_fit_the_model(config: EmbedConfig) -> None:
    histories = replace(config, kinds=("item", "history"), max_tokens=32, history_titles=4)
    now = embed(replace(histories, until="now", output=config.output.parent / "now"))
    train = embed(histories)
    stores = [KnowledgeStore.open(folder) for folder in (train, now)]
    vectors = [store.vectors("history", ["u00", "u01"]) for store in stores]
    assert vectors[0].abs().sum() > 0
    assert not torch.equal(*vectors)
    recorded = [
        json.loads((folder / "store.json").read_text())["history_until"] for folder in (train, now)
    ]
    assert recorded == ["train", "now"]
    assert torch.equal(*(store.vectors("item", ["i03"]) for store in stores))


@pytest.mark.parametrize(
    "change", [{"pooling": "first"}, {"precision": "int8"}, {"dim": 4}, {"normalize": True}]
)
def test_other_vectors_are_another_store(
    config: EmbedConfig, tmp_path: Path, change: dict[str, str]
) -> None:
    plain = KnowledgeStore.open(embed(config))
    other = replace(config, output=tmp_path / "other", **change)  # type: ignore[arg-type]  # mixed
    store = KnowledgeStore.open(embed(other))
    assert store.fingerprint != plain.fingerprint
    assert store.dim == change.get("dim", 16)
    recorded = {"truncate_dim": change["dim"]} if "dim" in change else change
    assert recorded.items() <= store.description.items()


def test_an_int8_store_is_near(config: EmbedConfig, tmp_path: Path) -> None:
    exact = KnowledgeStore.open(embed(config)).vectors("item", ["i03", "i09"])
    small = embed(replace(config, output=tmp_path / "small", dtype="int8"))
    rough = KnowledgeStore.open(small).vectors("item", ["i03", "i09"])
    half = exact.abs().amax(dim=1, keepdim=True) / 127 / 2
    assert ((rough - exact).abs() <= half * 1.001).all()


def test_a_store_of_another_model_is_kept(config: EmbedConfig, tiny_causal: str) -> None:
    before = contents(embed(config))
    with pytest.raises(StoreError, match=r"store\.json: built by model .*bert"):
        embed(replace(config, model=tiny_causal))
    assert contents(config.output) == before


@pytest.mark.parametrize("name", ["batch_tokens", "shard_texts", "processes", "max_tokens", "dim"])
def test_settings_that_are_not_positive_are_refused(config: EmbedConfig, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: 0 is not positive"):
        embed(replace(config, **{name: 0}))  # type: ignore[arg-type]  # mixed


def test_no_kind_at_all_is_refused(config: EmbedConfig) -> None:
    with pytest.raises(ValueError, match=r"kinds: \[\]: name at least one"):
        embed(replace(config, kinds=()))


def test_a_process_of_one_thread_leaves_the_threads_as_they_were(
    config: EmbedConfig, tmp_path: Path
) -> None:
    before = torch.get_num_threads()
    one = embed(replace(config, processes=1))
    assert torch.get_num_threads() == before
    if before == 1:
        assert contents(one) == contents(embed(replace(config, output=tmp_path / "other")))
