import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from xrec_lightning.data.text import train_tokenizer as subject
from xrec_lightning.data.text.train_tokenizer import (
    SPECIAL_TOKENS,
    TokenizerConfig,
    train_tokenizer,
    trained_tokenizer,
)

Algorithm = Literal["wordpiece", "bpe", "unigram"]
ALGORITHMS = ["wordpiece", "bpe", "unigram"]
TEXTS = [
    *(f"green tea {i}, black tea pot and {i} kettles" for i in range(20)),
    *["绿茶很好喝", "绿茶 壶", "Зелёный чай и йогурт", "café crème 🍵👍", "緑茶を飲みます"] * 3,
]
ROOT = Path(__file__).parents[3]


def train(algorithm: Algorithm, **options: object) -> Tokenizer:
    config = TokenizerConfig(algorithm=algorithm, vocab_size=400, **options)  # type: ignore[arg-type]  # of a test
    return train_tokenizer(TEXTS, config)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("text", ["绿茶很好喝", "绿茶 壶", "Зелёный чай", "café 🍵👍", "緑茶を"])
def test_texts_in_any_script_come_back(algorithm: Algorithm, text: str) -> None:
    tokenizer = train(algorithm)
    back = tokenizer.decode(tokenizer.encode(text).ids)
    if algorithm == "wordpiece":  # it writes a space between words, and characters are words
        back, text = back.replace(" ", ""), text.replace(" ", "")
    assert back == text


def test_bytes_write_what_was_never_seen() -> None:
    tokenizer = train("bpe")
    assert tokenizer.decode(tokenizer.encode("龘 ‱ ß").ids) == "龘 ‱ ß"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_frequent_words_become_tokens_and_sizes_hold(algorithm: Algorithm) -> None:
    tokenizer = train(algorithm)
    assert tokenizer.get_vocab_size() <= 400
    assert [tokenizer.id_to_token(i) for i in range(5)] == list(SPECIAL_TOKENS.values())
    tokens = tokenizer.encode("green kettles").tokens
    assert (tokens[0], tokens[-1]) == ("[CLS]", "[SEP]")
    if algorithm != "unigram":  # its trainer finds no words in so little text
        assert len(tokens) < len("green kettles") / 2


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_small_letters_are_all_that_is_known(algorithm: Algorithm) -> None:
    tokenizer = train(algorithm, lowercase=True)
    assert tokenizer.encode("Green TEA").ids == tokenizer.encode("green tea").ids
    assert tokenizer.encode("ЧАЙ").ids == tokenizer.encode("чай").ids


def test_another_process_trains_the_same(tmp_path: Path) -> None:
    script = (
        f"from tests_texts import TEXTS\nfrom {subject.__name__} import *\n"
        f"for name in {ALGORITHMS}:\n"
        "    config = TokenizerConfig(algorithm=name, vocab_size=400)\n"
        "    print(trained_tokenizer(TEXTS, config, Path('there')))"
    )
    (tmp_path / "tests_texts.py").write_text(f"TEXTS = {TEXTS!r}")
    environment = {"PYTHONPATH": f"{ROOT}:{tmp_path}", "PATH": ""}
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    for name, path in zip(ALGORITHMS, done.stdout.split(), strict=True):
        config = TokenizerConfig(algorithm=name, vocab_size=400)  # type: ignore[arg-type]  # one of them
        ours = trained_tokenizer(TEXTS, config, tmp_path / "here") / "tokenizer.json"
        assert ours.parent.name == Path(path).name
        assert ours.read_bytes() == (tmp_path / path / "tokenizer.json").read_bytes()


def test_it_is_trained_once_and_others_load_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TokenizerConfig(vocab_size=400)
    folder = trained_tokenizer(TEXTS, config, tmp_path)
    monkeypatch.setattr(subject, "train_tokenizer", None)
    assert trained_tokenizer(TEXTS, config, tmp_path) == folder
    with pytest.raises(TypeError):
        trained_tokenizer(TEXTS[1:], config, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    assert tokenizer.mask_token == "[MASK]"
    assert tokenizer.pad_token_id == 0
    assert tokenizer.eos_token_id == tokenizer.sep_token_id
    assert tokenizer("green tea")["input_ids"][0] == tokenizer.cls_token_id


def test_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="no text to train a tokenizer on"):
        train_tokenizer(["", " "], TokenizerConfig())


def test_a_vocabulary_without_room_for_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="vocab_size: 100 is less than the 261 tokens that bpe"):
        TokenizerConfig(algorithm="bpe", vocab_size=100)
