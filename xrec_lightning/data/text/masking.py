"""Hiding tokens for masked language modeling (Devlin et al., 2019, arXiv:1810.04805)."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from xrec_lightning.batches import TextBatch

IGNORED = -100
"""Label of positions that are not predicted."""
MASK_SHARE = 0.8
RANDOM_SHARE = 0.1


class Vocabulary(NamedTuple):
    """What masking needs to know of a tokenizer. V tokens."""

    mask_id: int
    """The mask token."""
    ordinary_ids: Tensor
    """All tokens but the special ones, int64, shape ``(ordinary,)``."""
    is_special: Tensor
    """Whether a token is special and never hidden, bool, shape ``(V,)``."""
    continues_word: Tensor
    """Whether a token belongs to the word of the token before it, bool, shape ``(V,)``."""


class Spans(NamedTuple):
    """Lengths of spans: geometric, cut off."""

    stop: float = 0.2
    """Probability that a span ends after each of its words."""
    longest: int = 10
    """Longest span."""


class Masking(NamedTuple):
    """How many tokens are hidden, and which together."""

    share: float = 0.15
    """Share of the ordinary tokens that are predicted."""
    whole_words: bool = False
    """Hide all tokens of a word or none."""
    spans: Spans | None = None
    """Hide runs of tokens, or of words where they are hidden as a whole."""


class TripleParts(NamedTuple):
    """Which tokens belong to triples whose tails are to be predicted. B blocks, L tokens."""

    is_triple: Tensor
    """True at all tokens of such a text, shape ``(B, L)``."""
    is_tail: Tensor
    """True from the first token of the tail on, shape ``(B, L)``."""


class Hidden(NamedTuple):
    """What is read and what is to be predicted. B blocks, L tokens."""

    token_ids: Tensor
    """Shape ``(B, L)``."""
    labels: Tensor
    """Original tokens at predicted positions, `IGNORED` elsewhere, shape ``(B, L)``."""


def hide_tokens(
    text: TextBatch,
    positions: Tensor,
    vocabulary: Vocabulary,
    masking: Masking,
    generator: torch.Generator,
    triples: TripleParts | None = None,
) -> Hidden:
    """Choose tokens to be predicted: 80 % are masked, 10 % replaced, 10 % stay.

    Spans are those of SpanBERT (Joshi et al., 2020, arXiv:1907.10529), with one fate for all tokens
    of a span. They differ in how they are drawn: not until a budget is spent, but one from each
    position with a probability that hides every token as often as asked.

    Args:
        text: Blocks of tokens, shape ``(B, L)``.
        positions: Position of each token in its own text, 0 where a text begins, shape ``(B, L)``.
        vocabulary: Of the tokenizer.
        masking: How many tokens and which together.
        generator: Source of all randomness.
        triples: Of these texts the tail is masked, all of it and nothing else.
    """
    continues = vocabulary.continues_word[text.token_ids] & (positions > 0)
    if not masking.whole_words:
        continues = torch.zeros_like(continues)
    ordinary = text.attention_mask & ~vocabulary.is_special[text.token_ids]
    chosen = ordinary & _choose(continues, masking, generator)
    fates = torch.rand(chosen.shape, generator=generator)
    if masking.spans is not None:
        before = torch.zeros_like(chosen)
        before[:, 1:] = chosen[:, :-1]
        fates = fates.gather(1, _last(chosen & ~before))
    if triples is not None:
        chosen = torch.where(triples.is_triple, triples.is_tail & ordinary, chosen)
        fates = fates.masked_fill(triples.is_tail, 0.0)
    return _hide(text.token_ids, chosen, fates, vocabulary, generator)


def _hide(
    token_ids: Tensor,
    chosen: Tensor,
    fates: Tensor,
    vocabulary: Vocabulary,
    generator: torch.Generator,
) -> Hidden:
    picks = torch.randint(len(vocabulary.ordinary_ids), token_ids.shape, generator=generator)
    is_masked = chosen & (fates < MASK_SHARE)
    is_replaced = chosen & (fates >= MASK_SHARE) & (fates < MASK_SHARE + RANDOM_SHARE)
    hidden = token_ids.masked_fill(is_masked, vocabulary.mask_id)
    hidden = torch.where(is_replaced, vocabulary.ordinary_ids[picks], hidden)
    return Hidden(hidden, token_ids.masked_fill(~chosen, IGNORED))


def _choose(continues: Tensor, masking: Masking, generator: torch.Generator) -> Tensor:
    """Return which positions are chosen, those of a word alike, shape ``(B, L)``."""
    rows, length = continues.shape
    words = (~continues).long().cumsum(dim=1) - 1
    if masking.spans is None:
        draws = torch.rand(rows, length, generator=generator) < masking.share
        return draws.gather(1, words.clamp(min=0))
    spans = masking.spans
    # Spans that begin before a text hide its first words as often as those in its middle.
    width = length + spans.longest - 1
    begins = torch.rand(rows, width, generator=generator) < span_rate(masking.share, spans)
    draws = torch.rand(rows, width, generator=generator)
    covered = torch.zeros(rows, length, dtype=torch.bool)
    for ago in range(spans.longest):
        start = spans.longest - 1 - ago
        reaches = begins & (draws < (1.0 - spans.stop) ** ago)
        covered |= reaches[:, start : start + length]
    return covered.gather(1, words.clamp(min=0))


@lru_cache
def span_rate(share: float, spans: Spans) -> float:
    """Return how often spans must begin so that ``share`` of the words lies in one.

    Example:
        >>> round(span_rate(0.15, Spans(stop=1.0, longest=1)), 6)
        0.15
    """
    low, high = 0.0, 1.0
    for _ in range(60):
        rate = (low + high) / 2
        outside = 1.0
        for ago in range(spans.longest):
            outside *= 1.0 - rate * (1.0 - spans.stop) ** ago
        low, high = (rate, high) if 1.0 - outside < share else (low, rate)
    return high


def _last(marks: Tensor) -> Tensor:
    """Return the position of the newest mark up to each position, 0 before the first."""
    positions = torch.arange(marks.size(1)).expand_as(marks)
    return torch.where(marks, positions, 0).cummax(dim=1).values
