"""Prompts cut to a budget of tokens: the history gives way, never the question."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.text.tokenize import TokenizedTexts, Tokenizer

Render = Callable[[int, str], str]
"""From the row of a prompt and its history to its text."""


def refuse_long(max_tokens: int, tokenizer: Tokenizer, where: str) -> None:
    """Raise where texts are to be longer than the model can read.

    Args:
        max_tokens: Longest text.
        tokenizer: Of the model.
        where: Key of the budget, for messages.

    Raises:
        InputError: It names key, value and the model's limit.
    """
    if max_tokens > tokenizer.model_max_length:
        raise InputError(
            f"{where}: {max_tokens}: {tokenizer.name_or_path} reads at most "
            f"{tokenizer.model_max_length} tokens"
        )


class FittedPrompts(NamedTuple):
    """Prompts that fit their budget. P prompts."""

    lines: list[list[str]]
    """What is left of each history, the best last."""
    texts: list[str]
    """The prompts, P of them."""
    tokens: TokenizedTexts
    """Their tokens."""


class LineFitter:
    """Leave lines of histories out until prompts fit a budget.

    Args:
        tokenizer: Of the model that will read the prompts.
        separator: What stands between the lines of a history.
    """

    def __init__(self, tokenizer: Tokenizer, separator: str) -> None:
        self.tokenizer = tokenizer
        self.separator = separator
        self.lengths: dict[str, int] = {}
        self.gap = len(self._encode([separator], special=False)[0])
        """Tokens of a separator."""

    def fit(
        self, histories: Sequence[list[str]], render: Render, max_tokens: int, where: str
    ) -> FittedPrompts:
        """Return prompts of at most ``max_tokens``, special tokens included.

        Args:
            histories: Lines of each history; the first is left out first, and of the last one its
                last words.
            render: Makes the prompt.
            max_tokens: Longest prompt.
            where: Key of the budget, for messages.

        Raises:
            InputError: If a prompt does not even fit without a history.
        """
        lines = list(histories)
        texts = [""] * len(lines)
        encoded: list[list[int]] = [[]] * len(lines)
        pending = list(range(len(lines)))
        while pending:
            for row in pending:
                texts[row] = render(row, self.separator.join(lines[row]))
            for row, ids in zip(pending, self._encode([texts[r] for r in pending]), strict=True):
                encoded[row] = ids
            pending = [row for row in pending if len(encoded[row]) > max_tokens]
            self._measure([line for row in pending for line in lines[row]])
            for row in pending:
                length = len(encoded[row])
                if not lines[row]:
                    raise InputError(
                        f"{where}: {max_tokens}: without any history the prompt {texts[row]!r} "
                        f"has {length} tokens; raise it, or say less of an item"
                    )
                lines[row] = self._shorten(lines[row], length - max_tokens)
        return FittedPrompts(lines, texts, _flat(encoded))

    def shorten(self, histories: Sequence[list[str]], max_tokens: int) -> list[list[str]]:
        """Return histories of at most ``max_tokens`` each, without special tokens."""
        self._measure([line for lines in histories for line in lines])
        totals = [
            sum(self.lengths[line] + self.gap for line in lines) - self.gap for lines in histories
        ]
        return [
            self._shorten(lines, total - max_tokens) if total > max_tokens else lines
            for lines, total in zip(histories, totals, strict=True)
        ]

    def cut(self, texts: Sequence[str], max_tokens: int) -> dict[str, str]:
        """Return the first ``max_tokens`` of each distinct text, without special tokens."""
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return {}
        encoding = self.tokenizer(distinct, add_special_tokens=False, return_offsets_mapping=True)
        ends = [
            len(text) if len(spans) <= max_tokens else spans[max_tokens - 1][1]
            for text, spans in zip(distinct, encoding["offset_mapping"], strict=True)
        ]
        return {text: text[:end] for text, end in zip(distinct, ends, strict=True)}

    def _encode(self, texts: Sequence[str], *, special: bool = True) -> list[list[int]]:
        if not texts:
            return []
        return self.tokenizer(list(texts), add_special_tokens=special)["input_ids"]

    def _measure(self, lines: Sequence[str]) -> None:
        new = [line for line in dict.fromkeys(lines) if line not in self.lengths]
        ids = self._encode(new, special=False)
        self.lengths.update(zip(new, map(len, ids), strict=True))

    def _shorten(self, lines: list[str], excess: int) -> list[str]:
        """Return lines less about ``excess`` tokens, and in any case less something."""
        first = 0
        while excess > 0 and first < len(lines) - 1:
            excess -= self.lengths[lines[first]] + self.gap
            first += 1
        if excess <= 0:
            return lines[first:]
        words = lines[-1].split(" ")
        length = self.lengths.get(lines[-1], len(words))
        kept = words[: -math.ceil(excess * len(words) / max(length, 1))]
        return [" ".join(kept)] if kept else []


def _flat(encoded: Sequence[list[int]]) -> TokenizedTexts:
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    tokens = np.fromiter((token for ids in encoded for token in ids), dtype=np.int32)
    return TokenizedTexts(tokens, offsets)
