from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, BertTokenizer, PreTrainedTokenizerFast

from xrec_lightning.data.text import tokenize as subject
from xrec_lightning.data.text.tokenize import (
    TokenizedTexts,
    length_batches,
    load_tokenizer,
    masking_vocabulary,
    pad_id,
    token_positions,
    tokenize,
    tokenize_cached,
    with_end,
)
from xrec_lightning.data.text.train_tokenizer import (
    SPECIAL_TOKENS,
    TokenizerConfig,
    train_tokenizer,
)

TEXTS = ["green tea", "", "iron pot 3", "tea"]


def test_batches_equal_the_tokenizers_own_padding(tiny_language: str) -> None:
    tokenizer = load_tokenizer(tiny_language)
    ours = tokenize(TEXTS, tokenizer, 16).batch([2, 0, 3], pad_id(tokenizer))
    texts = [TEXTS[2], TEXTS[0], TEXTS[3]]
    theirs = AutoTokenizer.from_pretrained(tiny_language)(texts, padding=True, return_tensors="pt")
    assert torch.equal(ours.token_ids, theirs["input_ids"])
    assert torch.equal(ours.attention_mask.long(), theirs["attention_mask"])


def test_long_texts_lose_their_end_or_their_start(tiny_language: str) -> None:
    tokenizer = load_tokenizer(tiny_language)
    whole = tokenize(["black tea iron pot"], tokenizer, 16).token_ids.tolist()
    first = tokenize(["black tea iron pot"], tokenizer, 4).token_ids.tolist()
    last = tokenize(["black tea iron pot"], tokenizer, 4, keep_end=True).token_ids.tolist()
    assert first == [whole[0], *whole[1:3], whole[-1]]
    assert last == [whole[0], *whole[-3:-1], whole[-1]]


def test_no_texts_give_no_tokens(tiny_language: str) -> None:
    tokens = tokenize([], load_tokenizer(tiny_language), 8)
    assert tokens.offsets.tolist() == [0]
    assert tokens.batch([], 0).token_ids.shape == (0, 1)


def test_texts_are_tokenized_once(
    tiny_language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = load_tokenizer(tiny_language)
    first = tokenize_cached(TEXTS, tiny_language, tokenizer, 16, tmp_path)
    monkeypatch.setattr(subject, "tokenize", None)
    again = tokenize_cached(TEXTS, tiny_language, tokenizer, 16, tmp_path)
    np.testing.assert_array_equal(first.token_ids, again.token_ids)
    np.testing.assert_array_equal(first.offsets, again.offsets)
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(TypeError):
        tokenize_cached([*TEXTS, "pot"], tiny_language, tokenizer, 16, tmp_path)


@given(st.lists(st.integers(1, 30), max_size=40), st.integers(1, 100))
def test_length_batches_hold_every_text_once_within_the_budget(
    lengths: list[int], budget: int
) -> None:
    batches = length_batches(np.array(lengths, dtype=np.int64), budget)
    rows = [row for batch in batches for row in batch.tolist()]
    assert sorted(rows) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[row] for row in batch)
        assert len(batch) == 1 or longest * len(batch) <= budget
    assert [lengths[row] for row in rows] == sorted(lengths)


def test_masking_knows_special_tokens_and_the_inside_of_words(tiny_language: str) -> None:
    tokenizer = load_tokenizer(tiny_language)
    vocabulary = masking_vocabulary(tokenizer)
    names = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    special = {names[i] for i in torch.nonzero(vocabulary.is_special).flatten()}
    assert special == {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    inside = {names[i] for i in torch.nonzero(vocabulary.continues_word).flatten()}
    assert inside == {name for name in names if name.startswith("##")}
    assert len(vocabulary.ordinary_ids) == len(names) - 5


@pytest.mark.parametrize("mark", ["Ġ", "▁"])
def test_vocabularies_that_mark_starts_of_words(mark: str) -> None:
    assert subject._continuations([f"{mark}tea", "s", f"{mark}pot"]) == [False, True, False]


def bert_like(words: list[str]) -> PreTrainedTokenizerFast:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    return BertTokenizer(vocab={token: index for index, token in enumerate(vocabulary)})


def bytes_like(texts: list[str], algorithm: str = "bpe") -> PreTrainedTokenizerFast:
    config = TokenizerConfig(algorithm=algorithm, vocab_size=400)  # type: ignore[arg-type]  # one of them
    tokenizer = train_tokenizer(texts, config)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL_TOKENS)


SCRIPTS = ["绿茶好", "чай йогурт", "tea 🍵👍 pots", "緑茶を飲む", "naïve café"]


def words_of(tokenizer: PreTrainedTokenizerFast, text: str) -> list[str]:
    """Return the words that whole-word masking sees, without spaces."""
    vocabulary = masking_vocabulary(tokenizer)
    words: list[list[int]] = []
    for token in tokenizer(text, add_special_tokens=False)["input_ids"]:
        if words and vocabulary.continues_word[token]:
            words[-1].append(token)
        else:
            words.append([token])
    return [tokenizer.decode(word).strip() for word in words]


@pytest.mark.parametrize("algorithm", ["bpe", "unigram", "wordpiece"])
def test_words_of_scripts_with_spaces_stay_whole(algorithm: str) -> None:
    tokenizer = bytes_like([*SCRIPTS, *["green tea pot"] * 9], algorithm)
    assert words_of(tokenizer, "чай йогурт") == ["чай", "йогурт"]
    assert words_of(tokenizer, "naïve café") == ["naïve", "café"]
    assert words_of(tokenizer, "tea 🍵👍 pots") == ["tea", "🍵👍", "pots"]


@pytest.mark.parametrize("algorithm", ["bpe", "unigram", "wordpiece"])
def test_each_chinese_character_is_a_word(algorithm: str) -> None:
    tokenizer = bytes_like([*SCRIPTS, *["green tea pot"] * 9], algorithm)
    words = words_of(tokenizer, "好茶绿")  # no run of the training texts, hence no token
    assert [word for word in words if word] == ["好", "茶", "绿"]


def test_chinese_characters_of_a_word_piece_vocabulary_are_words() -> None:
    assert words_of(bert_like(["绿", "茶", "tea", "##s"]), "绿茶teas") == ["绿", "茶", "teas"]


def test_texts_get_an_end_where_they_are_not_cut_off() -> None:
    offsets = np.array([0, 2, 2, 5, 6])
    tokens = TokenizedTexts(np.array([4, 5, 6, 7, 8, 9], dtype=np.int32), offsets)
    ended = with_end(tokens, 9, max_tokens=3)
    assert ended.token_ids.tolist() == [4, 5, 9, 6, 7, 8, 9]
    assert ended.offsets.tolist() == [0, 3, 3, 6, 7]


def test_the_token_of_a_character_is_found(tiny_language: str) -> None:
    tokenizer = load_tokenizer(tiny_language)
    texts = ["green teas. brand: pot", "tea", "green teas. brand: pot"]
    # 19 is the p of pot; the third is too long for four tokens, and the second is not asked.
    assert token_positions(texts, np.array([19, -1, 6]), tokenizer, 16).tolist() == [7, -1, 2]
    assert token_positions(texts, np.array([19, -1, 19]), tokenizer, 4).tolist() == [4, -1, 4]


def test_a_tokenizer_without_mask_is_refused(tiny_language: str) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tiny_language)
    tokenizer.mask_token = None
    with pytest.raises(ValueError, match="no mask token"):
        masking_vocabulary(tokenizer)
