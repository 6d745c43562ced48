"""Training of a tokenizer on the knowledge text."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from xrec_lightning.data.folders import atomic_folder

SPECIAL_TOKENS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
"""The first tokens of the vocabulary, in this order; a text is ``[CLS] text [SEP]``."""
_SPECIAL = list(SPECIAL_TOKENS.values())
_MARK = "##"
_ROUNDS = 4


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """A new tokenizer, trained on the training texts."""

    algorithm: Literal["wordpiece", "bpe", "unigram"] = "wordpiece"
    """Only `bpe`, which works on bytes, and `unigram` give back every space of a text; `bpe` alone
    knows characters that it has not seen."""
    vocab_size: int = 8000
    """Most tokens, special ones included; a small corpus gives fewer."""
    lowercase: bool = False
    """Make no difference between capital and small letters."""

    def __post_init__(self) -> None:
        least = len(_SPECIAL) + (256 if self.algorithm == "bpe" else 1)
        if self.vocab_size < least:
            raise ValueError(
                f"vocab_size: {self.vocab_size} is less than the {least} tokens that "
                f"{self.algorithm} needs at least"
            )


def trained_tokenizer(texts: Sequence[str], config: TokenizerConfig, parent: Path) -> Path:
    """Return the folder of a tokenizer in ``parent``, trained the first time.

    Processes that ask at once wait for the one that trains it. `transformers` loads the folder.

    Args:
        texts: The same texts give the same tokenizer.
        config: Which one.
        parent: Holds a folder for each set of texts and config.

    Raises:
        ValueError: If there is no text.
    """
    state = sha256(json.dumps(asdict(config)).encode())
    for text in texts:
        state.update(f"{len(text)} {text}".encode())
    folder = parent / state.hexdigest()[:16]
    with atomic_folder(folder) as partial:
        if partial is not None:
            _write(train_tokenizer(texts, config), partial)
    return folder


def _write(tokenizer: Tokenizer, folder: Path) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    # Causal models know the ends of a text by other names.
    ends = {"bos_token": SPECIAL_TOKENS["cls_token"], "eos_token": SPECIAL_TOKENS["sep_token"]}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **SPECIAL_TOKENS, **ends}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")


def train_tokenizer(texts: Sequence[str], config: TokenizerConfig) -> Tokenizer:
    """Return a tokenizer trained on ``texts``; the same texts give the same tokenizer.

    Raises:
        ValueError: If there is no text.
    """
    if not any(text.strip() for text in texts):
        raise ValueError("there is no text to train a tokenizer on")
    train = {"wordpiece": _wordpiece, "bpe": _bpe, "unigram": _unigram}[config.algorithm]
    tokenizer = train(texts, config)
    first, last = ((token, _SPECIAL.index(token)) for token in ("[CLS]", "[SEP]"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[first, last],
    )
    return tokenizer


def _wordpiece(texts: Sequence[str], config: TokenizerConfig) -> Tokenizer:
    tokenizer = _blank_wordpiece({}, config)
    # The trainer numbers the characters inside of words in the order of a hash table, and breaks
    # ties by numbers: named beforehand, they have the same numbers each time.
    inside = {letter for word in _words(tokenizer, texts) for letter in word[1:]}
    tokenizer.train_from_iterator(
        texts,
        trainers.WordPieceTrainer(
            vocab_size=config.vocab_size,
            special_tokens=[*_SPECIAL, *sorted(_MARK + letter for letter in inside)],
            show_progress=False,
        ),
        length=len(texts),
    )
    return _blank_wordpiece(tokenizer.get_vocab(with_added_tokens=False), config)


def _blank_wordpiece(vocabulary: dict[str, int], config: TokenizerConfig) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=config.lowercase
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=_MARK)
    tokenizer.add_special_tokens([token for token in _SPECIAL if token in vocabulary])
    return tokenizer


def _bpe(texts: Sequence[str], config: TokenizerConfig) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    _normalize(tokenizer, config)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        special_tokens=_SPECIAL,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(texts, trainer, length=len(texts))
    return tokenizer


def _unigram(texts: Sequence[str], config: TokenizerConfig) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    _normalize(tokenizer, config)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=config.vocab_size,
        special_tokens=_SPECIAL,
        show_progress=False,
        unk_token="[UNK]",
    )
    tokenizer.train_from_iterator(texts, trainer, length=len(texts))
    words = Counter(_words(tokenizer, texts))
    pieces = sorted(set(tokenizer.get_vocab()) - set(_SPECIAL))
    # The trainer sums in the order of a hash table, so its scores differ from call to call.
    scores = dict.fromkeys(pieces, -1.0)  # at first, fewer pieces are better
    for _ in range(_ROUNDS):
        tokenizer.model = _unigram_model(scores)
        uses = Counter[str]()
        for word, count in words.items():
            for token in tokenizer.model.tokenize(word):
                uses[token.value] += count
        total = math.log(sum(uses.values()) + len(pieces))
        scores = {piece: math.log(uses[piece] + 0.5) - total for piece in pieces}
    tokenizer.model = _unigram_model(scores)
    return tokenizer


def _unigram_model(scores: dict[str, float]) -> Any:
    listed = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
    return models.Unigram([(token, 0.0) for token in _SPECIAL] + listed, _SPECIAL.index("[UNK]"))


def _normalize(tokenizer: Tokenizer, config: TokenizerConfig) -> None:
    steps: list[Any] = [normalizers.NFC()]
    if config.lowercase:
        steps.append(normalizers.Lowercase())
    tokenizer.normalizer = normalizers.Sequence(steps)


def _words(tokenizer: Tokenizer, texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        normal = tokenizer.normalizer.normalize_str(text)
        yield from (word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal))
