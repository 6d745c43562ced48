"""Texts to tokens: ragged arrays, and padded batches of texts of like length."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from xrec_lightning.batches import TextBatch
from xrec_lightning.data.text.masking import Vocabulary
from xrec_lightning.pretrained import locate_pretrained

Tokenizer = PreTrainedTokenizerBase
_LEAD_BYTES = frozenset("\xe3\xe4\xe5\xe6\xe7\xe8\xe9")
"""First bytes of Chinese characters and kana in UTF-8, as byte-level vocabularies write them."""


class TokenizedTexts(NamedTuple):
    """Tokens of many texts, special tokens included, in two flat arrays."""

    token_ids: np.ndarray
    """All tokens, int32, shape ``(tokens,)``."""
    offsets: np.ndarray
    """Text ``i`` owns ``token_ids[offsets[i]:offsets[i + 1]]``, int64, shape ``(texts + 1,)``."""

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text, int64, shape ``(texts,)``."""
        return np.diff(self.offsets)

    def batch(self, rows: Sequence[int] | np.ndarray, pad_id: int) -> TextBatch:
        """Return the texts ``rows``, padded to the longest of them."""
        starts, lengths = self.offsets[:-1][rows], self.lengths[rows]
        columns = np.arange(max(int(lengths.max(initial=0)), 1))
        mask = columns < lengths[:, None]  # (B, L)
        token_ids = np.full(mask.shape, pad_id, dtype=np.int64)
        token_ids[mask] = self.token_ids[(starts[:, None] + columns)[mask]]
        return TextBatch(torch.from_numpy(token_ids), torch.from_numpy(mask))


def load_tokenizer(name: str) -> Tokenizer:
    """Return the tokenizer of a model: folder, ``.gguf`` file, hub name, or ``package:NAME/…``."""
    place = locate_pretrained(name)
    return AutoTokenizer.from_pretrained(place.name, **place.options)


def pad_id(tokenizer: Tokenizer) -> int:
    """Return the padding token; 0 where a causal model has none, since the mask hides it."""
    return 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)


def tokenize(
    texts: Sequence[str], tokenizer: Tokenizer, max_tokens: int, *, keep_end: bool = False
) -> TokenizedTexts:
    """Tokenize ``texts`` with special tokens, at most ``max_tokens`` each.

    Args:
        texts: Any number.
        tokenizer: Of the model that will read them.
        max_tokens: Of longer texts the rest is cut off.
        keep_end: Cut off the start instead.
    """
    tokenizer.truncation_side = "left" if keep_end else "right"
    encoded = (
        tokenizer(list(texts), truncation=True, max_length=max_tokens)["input_ids"] if texts else []
    )
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(tokens) for tokens in encoded], out=offsets[1:])
    flat = np.fromiter((token for tokens in encoded for token in tokens), dtype=np.int32)
    return TokenizedTexts(flat, offsets)


def tokenize_cached(
    texts: Sequence[str], name: str, tokenizer: Tokenizer, max_tokens: int, folder: Path
) -> TokenizedTexts:
    """Return the tokens of ``texts`` from a cache in ``folder``, filled the first time.

    Args:
        texts: Any number.
        name: The model's name; a model that changed under its name has another vocabulary.
        tokenizer: Of that model.
        max_tokens: Of longer texts the rest is cut off.
        folder: Holds one folder for each set of texts, model and length.
    """
    state = hashlib.sha256(f"{name} {max_tokens} {sorted(tokenizer.get_vocab().items())}".encode())
    for text in texts:
        state.update(f"{len(text)} {text}".encode())
    cache = folder / state.hexdigest()[:16]
    if not cache.is_dir():
        tokens = tokenize(texts, tokenizer, max_tokens)
        partial = folder / f".{cache.name}.{os.getpid()}"
        partial.mkdir(parents=True)
        for field, array in tokens._asdict().items():
            np.save(partial / f"{field}.npy", array)
        try:
            partial.rename(cache)
        except OSError:  # another process was faster
            shutil.rmtree(partial)
    arrays = [np.load(cache / f"{field}.npy", mmap_mode="r") for field in TokenizedTexts._fields]
    return TokenizedTexts(*arrays)


def length_batches(lengths: np.ndarray, batch_tokens: int) -> list[np.ndarray]:
    """Split texts, shortest first, into batches of at most ``batch_tokens`` padded tokens.

    Texts of equal length keep their order; a text longer than the budget is a batch of its own.

    Example:
        >>> [rows.tolist() for rows in length_batches(np.array([3, 1, 2, 9]), batch_tokens=4)]
        [[1, 2], [0], [3]]
    """
    batches, start = [], 0
    order = np.argsort(lengths, kind="stable")
    for end in range(1, len(order) + 1):
        full = end == len(order) or (end + 1 - start) * lengths[order[end]] > batch_tokens
        if full:
            batches.append(order[start:end])
            start = end
    return batches


def masking_vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    """Return what masking needs to know of a tokenizer.

    Raises:
        ValueError: If the tokenizer has no mask token.
    """
    if tokenizer.mask_token_id is None:
        raise ValueError(
            f"the tokenizer of {tokenizer.name_or_path} has no mask token: choose a model that was "
            "trained with masked language modeling"
        )
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    is_special = torch.zeros(len(tokens), dtype=torch.bool)
    is_special[list(tokenizer.all_special_ids)] = True
    return Vocabulary(
        mask_id=int(tokenizer.mask_token_id),
        ordinary_ids=torch.nonzero(~is_special).squeeze(1),
        is_special=is_special,
        continues_word=torch.tensor(_continuations(tokens)) & ~is_special,
    )


def with_end(tokens: TokenizedTexts, end_id: int, max_tokens: int) -> TokenizedTexts:
    """Return the texts with ``end_id`` as the last token.

    Those that have it keep it, and those of ``max_tokens`` stay as they are: they were cut off.
    """
    lengths = tokens.lengths
    last = np.where(lengths > 0, tokens.token_ids[tokens.offsets[1:] - 1], end_id)
    unfinished = (last != end_id) & (lengths < max_tokens)
    offsets = np.concatenate([[0], np.cumsum(lengths + unfinished)])
    token_ids = np.insert(tokens.token_ids, tokens.offsets[1:][unfinished], end_id)
    return TokenizedTexts(token_ids, offsets)


def token_positions(
    texts: Sequence[str], characters: np.ndarray, tokenizer: Tokenizer, max_tokens: int
) -> np.ndarray:
    """Return which token holds a character of each text, int64, shape ``(texts,)``.

    Args:
        texts: As they were tokenized.
        characters: Position in the text; -1 asks for nothing and gives -1.
        tokenizer: Of the model, a fast one.
        max_tokens: Of longer texts the rest was cut off; what lay there is at ``max_tokens``.
    """
    positions = np.full(len(texts), -1, dtype=np.int64)
    asked = np.flatnonzero(characters >= 0).tolist()
    if asked:
        tokenizer.truncation_side = "right"
        chosen = [texts[row] for row in asked]
        encoded = tokenizer(chosen, truncation=True, max_length=max_tokens)
        for number, row in enumerate(asked):
            token = encoded.char_to_token(number, int(characters[row]))
            positions[row] = max_tokens if token is None else token
    return positions


def _continuations(tokens: Sequence[str]) -> list[bool]:
    """Return which tokens go on with a word, by the marks of the vocabulary at hand."""
    for mark in ("\u0120", "\u2581"):  # byte-level BPE and SentencePiece mark the starts of words
        if sum(token.startswith(mark) for token in tokens) > len(tokens) // 100:
            return [not (token.startswith(mark) or _is_ideograph(token, mark)) for token in tokens]
    return [token.startswith("##") for token in tokens]  # WordPiece marks what goes on


def _is_ideograph(token: str, mark: str) -> bool:
    """Return whether a token begins with a Chinese character or kana: no space is before words."""
    if mark == "\u0120":  # a byte is a character here, and bytes from 128 on are Latin-1 or later
        return token[:1] in _LEAD_BYTES
    return "\u3041" <= token[:1] <= "\u9fff"
