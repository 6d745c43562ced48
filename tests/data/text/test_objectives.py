import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from xrec_lightning.data.text.masking import IGNORED
from xrec_lightning.data.text.objectives import CausalObjective, MaskedObjective
from xrec_lightning.data.text.packing import Blocks, lay_out
from xrec_lightning.data.text.tokenize import TokenizedTexts, load_tokenizer

TEXTS = TokenizedTexts(np.arange(5, 12, dtype=np.int32), np.array([0, 3, 5, 7]))


def blocks(block_size: int | None = None, tails: list[int] | None = None) -> Blocks:
    starts = None if tails is None else np.array(tails)
    return lay_out(TEXTS, np.arange(3), 0, block_size, starts)


def test_masking_hides_real_tokens_only(tiny_language: str) -> None:
    tokenizer = load_tokenizer(tiny_language)
    label = MaskedObjective(share=0.9, spans=True, whole_words=True).build(tokenizer)
    laid = blocks(block_size=8)
    hidden = label(laid, torch.Generator().manual_seed(0))
    chosen = hidden.labels != IGNORED
    assert chosen.any()
    assert torch.equal(hidden.labels[chosen], laid.text.token_ids[chosen])
    assert not (chosen & ~laid.text.attention_mask).any()


@pytest.mark.parametrize("block_size", [None, 8])
def test_each_token_predicts_the_next_of_its_own_text(
    tiny_language: str, block_size: int | None
) -> None:
    label = CausalObjective().build(load_tokenizer(tiny_language))
    laid = blocks(block_size)
    result = label(laid, torch.Generator())
    assert torch.equal(result.token_ids, laid.text.token_ids)
    chosen = result.labels != IGNORED
    pairs = zip(result.token_ids[chosen].tolist(), result.labels[chosen].tolist(), strict=True)
    assert sorted(pairs) == [(5, 6), (6, 7), (8, 9), (10, 11)]


def test_of_triples_only_the_tail_is_predicted(tiny_language: str) -> None:
    label = CausalObjective().build(load_tokenizer(tiny_language))
    result = label(blocks(tails=[2, -1, 0]), torch.Generator())
    assert result.labels[result.labels >= 0].tolist() == [7, 9, 11]


def test_causal_texts_end_where_they_are_not_cut(tiny_language: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_language)
    tokenizer.eos_token = "[SEP]"
    end = tokenizer.eos_token_id
    finished = CausalObjective().finish(TEXTS, tokenizer, max_tokens=3)
    assert finished.token_ids.tolist() == [5, 6, 7, 8, 9, end, 10, 11, end]
    assert finished.offsets.tolist() == [0, 3, 6, 9]
    tokenizer.eos_token = None
    assert CausalObjective().finish(TEXTS, tokenizer, 3) is TEXTS
    assert MaskedObjective().finish(TEXTS, tokenizer, 3) is TEXTS


@pytest.mark.parametrize(
    ("key", "value"), [("share", 0.0), ("share", 1.5), ("span_stop", 0.0), ("longest_span", 0)]
)
def test_numbers_that_cannot_be_are_refused(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"objective\.{key}: {value}"):
        MaskedObjective(**{key: value})
