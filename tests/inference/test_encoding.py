import logging

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModel, AutoTokenizer

from xrec_lightning.data.text.tokenize import load_tokenizer, tokenize
from xrec_lightning.inference.encoding import (
    EncoderConfig,
    Precision,
    TextEncoder,
    choose_device,
    equal_length_batches,
    token_block,
)
from xrec_lightning.models.language.pooling import Pooling

CPU = torch.device("cpu")
TEXTS = ["green tea 1", "iron pot", "clay pot 2 black tea mint", "tea", "mint pot"]


def vectors(config: EncoderConfig, texts: list[str] = TEXTS) -> torch.Tensor:
    encoder = TextEncoder(config, CPU)
    tokens = tokenize(texts, load_tokenizer(config.model), 64)
    rows = [token_block(tokens, np.array([row])) for row in range(len(texts))]
    return torch.cat([encoder.encode(block) for block in rows])


@pytest.mark.parametrize("pooling", ["mean", "first", "last", "weighted"])
@pytest.mark.parametrize("kind", ["tiny_language", "tiny_causal"])
def test_vectors_equal_a_plain_forward(
    kind: str, pooling: Pooling, request: pytest.FixtureRequest
) -> None:
    name = request.getfixturevalue(kind)
    tokenizer = AutoTokenizer.from_pretrained(name)
    plain = AutoModel.from_pretrained(name).eval()
    ours = vectors(EncoderConfig(model=name, pooling=pooling))
    for text, vector in zip(TEXTS, ours, strict=True):
        with torch.inference_mode():
            ids = tokenizer(text, return_tensors="pt")["input_ids"]
            states = plain(input_ids=ids).last_hidden_state[0]
        weights = torch.arange(1.0, len(states) + 1)
        expected = {
            "mean": states.mean(dim=0),
            "first": states[0],
            "last": states[-1],
            "weighted": weights @ states / weights.sum(),
        }
        torch.testing.assert_close(vector, expected[pooling], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("precision", "least"), [("int8", 0.999), ("bf16", 0.999)])
def test_other_numbers_give_nearly_the_same_vectors(
    tiny_language: str, precision: Precision, least: float
) -> None:
    exact = vectors(EncoderConfig(model=tiny_language))
    rough = vectors(EncoderConfig(model=tiny_language, precision=precision))
    assert rough.dtype == torch.float32
    assert least < torch.cosine_similarity(rough, exact).min()
    assert not torch.equal(rough, exact)


def test_the_fingerprint_is_that_of_the_weights_before_they_are_rounded(tiny_language: str) -> None:
    exact = TextEncoder(EncoderConfig(model=tiny_language), CPU)
    rough = TextEncoder(EncoderConfig(model=tiny_language, precision="int8"), CPU)
    assert exact.fingerprint == rough.fingerprint == exact.tower.fingerprint()


def test_bf16_on_a_cpu_is_warned_of(tiny_language: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        TextEncoder(EncoderConfig(model=tiny_language, precision="bf16"), CPU)
    assert "bf16 is slow on a CPU" in caplog.text


def test_leading_numbers_are_kept_and_scaled(tiny_language: str) -> None:
    whole = vectors(EncoderConfig(model=tiny_language))
    short = vectors(EncoderConfig(model=tiny_language, dim=5))
    torch.testing.assert_close(short, whole[:, :5] / whole[:, :5].norm(dim=1, keepdim=True))
    unit = vectors(EncoderConfig(model=tiny_language, normalize=True))
    torch.testing.assert_close(unit, whole / whole.norm(dim=1, keepdim=True))


@pytest.mark.parametrize("dim", [17, -1])
def test_a_width_that_the_model_lacks_is_refused(tiny_language: str, dim: int) -> None:
    with pytest.raises(ValueError, match=rf"dim: {dim}: the vectors of .* are 16 wide"):
        TextEncoder(EncoderConfig(model=tiny_language, dim=dim), CPU)


def test_a_text_without_tokens_is_zero(tiny_causal: str) -> None:
    encoder = TextEncoder(EncoderConfig(model=tiny_causal, normalize=True), CPU)
    assert encoder.encode(np.zeros((2, 0), dtype=np.int32)).tolist() == [[0] * 16] * 2


def test_a_text_longer_than_the_model_is_refused(tiny_language: str) -> None:
    encoder = TextEncoder(EncoderConfig(model=tiny_language), CPU)
    with pytest.raises(ValueError, match=r"a text of 65 tokens, .*bert reads at most 64: set max_"):
        encoder.encode(np.ones((1, 65), dtype=np.int32))


def test_tokens_of_another_vocabulary_are_refused(tiny_language: str) -> None:
    encoder = TextEncoder(EncoderConfig(model=tiny_language), CPU)
    with pytest.raises(ValueError, match=r"the tokenizer does not fit .*bert: .* token 999"):
        encoder.encode(np.full((1, 3), 999, dtype=np.int32))


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 40))
def test_batches_hold_every_text_once_and_one_length_each(lengths: list[int], budget: int) -> None:
    array = np.array(lengths, dtype=np.int64)
    batches = equal_length_batches(array, budget)
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    for rows in batches:
        assert len(set(array[rows])) == 1
        assert len(rows) == 1 or len(rows) * array[rows[0]] <= budget or array[rows[0]] == 0
    firsts = [array[rows[0]] for rows in batches]
    assert firsts == sorted(firsts)


def test_integers_are_multiplied_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("int8", 3) == CPU
    assert choose_device("fp32", 3) == torch.device("cuda", 1)
