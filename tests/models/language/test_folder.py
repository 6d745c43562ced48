import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from xrec_lightning.batches import TextBatch
from xrec_lightning.models.language.causal import load_causal
from xrec_lightning.models.language.folder import POOLING_KEYS, save_model, write_folder
from xrec_lightning.models.language.pooling import Pooling, pool
from xrec_lightning.models.language.tower import TowerConfig, load_encoder

TEXTS = ["green tea 1", "iron pot", "clay pot 2 black tea mint"]
POOLINGS: tuple[Pooling, ...] = ("mean", "first", "last", "weighted")


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def encode(folder: str, pooling: Pooling) -> torch.Tensor:
    """Make vectors as `sentence-transformers` does, with the tokenizer and model of a folder."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    encoded = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = model.eval()(**encoded).last_hidden_state
    return pool(hidden, encoded["attention_mask"].bool(), pooling)


def test_a_saved_folder_holds_model_and_tokenizer(tiny_language: str, tmp_path: Path) -> None:
    save_model(tmp_path / "run" / "model", load_encoder(tiny_language), tiny_language)
    folder = str(tmp_path / "run" / "model")
    assert AutoModel.from_pretrained(folder).config.hidden_size == 16
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert (
        tokenizer("tea pot")["input_ids"]
        == AutoTokenizer.from_pretrained(tiny_language)("tea pot")["input_ids"]
    )


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("kind", ["tiny_language", "tiny_causal"])
def test_a_saved_folder_gives_the_vectors_of_the_tower(
    kind: str, pooling: Pooling, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = request.getfixturevalue(kind)
    model = load_causal(name) if kind == "tiny_causal" else load_encoder(name)
    save_model(tmp_path / "model", model, name, pooling=pooling)
    tokens = AutoTokenizer.from_pretrained(name)(TEXTS, padding=True, return_tensors="pt")
    batch = TextBatch(tokens["input_ids"], tokens["attention_mask"].bool())
    with torch.inference_mode():
        expected = TowerConfig(model=name, pooling=pooling).build().eval()(batch)
    actual = encode(str(tmp_path / "model"), pooling)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def test_modules_are_described_as_sentence_transformers_documents(
    tiny_language: str, tmp_path: Path
) -> None:
    save_model(tmp_path / "model", load_encoder(tiny_language), tiny_language, pooling="last")
    kinds = [(each["path"], each["type"]) for each in read(tmp_path / "model" / "modules.json")]
    assert kinds == [
        ("", "sentence_transformers.models.Transformer"),
        ("1_Pooling", "sentence_transformers.models.Pooling"),
    ]
    pooling = read(tmp_path / "model" / "1_Pooling" / "config.json")
    assert pooling.pop("word_embedding_dimension") == 16
    assert [key for key, is_on in pooling.items() if is_on] == ["pooling_mode_lasttoken"]
    assert set(pooling) == set(POOLING_KEYS.values())


def test_vectors_of_length_1_are_described(tiny_language: str, tmp_path: Path) -> None:
    save_model(tmp_path / "model", load_encoder(tiny_language), tiny_language, normalize=True)
    last = read(tmp_path / "model" / "modules.json")[-1]
    assert (last["idx"], last["path"]) == (2, "2_Normalize")
    assert last["type"] == "sentence_transformers.models.Normalize"
    assert (tmp_path / "model" / "2_Normalize").is_dir()


@pytest.mark.parametrize(("max_tokens", "length"), [(None, 64), (5, 5), (500, 64)])
def test_the_longest_text_is_what_is_asked_and_can_be_read(
    tiny_language: str, tmp_path: Path, max_tokens: int | None, length: int
) -> None:
    save_model(
        tmp_path / "model", load_encoder(tiny_language), tiny_language, max_tokens=max_tokens
    )
    config = read(tmp_path / "model" / "sentence_bert_config.json")
    assert config == {"max_seq_length": length, "do_lower_case": False}
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path / "model"))
    assert len(tokenizer("tea " * 100, truncation=True)["input_ids"]) == length


@pytest.mark.parametrize(("keep_end", "kept"), [(False, "mint tea"), (True, "iron pot")])
def test_the_end_that_is_cut_off_is_recorded(
    tiny_language: str, tmp_path: Path, keep_end: bool, kept: str
) -> None:
    save_model(
        tmp_path / "model",
        load_encoder(tiny_language),
        tiny_language,
        max_tokens=4,
        keep_end=keep_end,
    )
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path / "model"))
    ids = tokenizer("mint tea 3 iron pot", truncation=True)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == kept


def test_a_tokenizer_without_padding_gets_some(tiny_causal: str, tmp_path: Path) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tiny_causal)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(str(tmp_path / "words"))
    save_model(tmp_path / "model", load_causal(tiny_causal), str(tmp_path / "words"))
    loaded = AutoTokenizer.from_pretrained(str(tmp_path / "model"))
    assert loaded.pad_token == loaded.eos_token
    assert loaded(["tea", "green tea pot"], padding=True, return_tensors="pt")["input_ids"].size(0)


def test_a_failed_write_leaves_the_old_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write_folder(folder, lambda path: (path / "weights").write_text("old"))

    def fail(path: Path) -> None:
        (path / "weights").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_folder(folder, fail)
    assert (folder / "weights").read_text() == "old"
    write_folder(folder, lambda path: (path / "weights").write_text("new"))
    assert (folder / "weights").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
