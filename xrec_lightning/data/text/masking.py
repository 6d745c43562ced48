"""Hiding tokens for masked language modeling (Devlin et al., 2019, arXiv:1810.04805)."""

from typing import NamedTuple

import torch
from torch import Tensor

from xrec_lightning.batches import MaskedTextBatch, TextBatch

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


class Masking(NamedTuple):
    """How many tokens are hidden, and whether words are hidden as a whole."""

    share: float = 0.15
    """Share of the ordinary tokens that are predicted."""
    whole_words: bool = False
    """Hide all tokens of a word or none."""


def mask_tokens(
    text: TextBatch,
    domain_ids: Tensor,
    vocabulary: Vocabulary,
    masking: Masking,
    generator: torch.Generator,
) -> MaskedTextBatch:
    """Choose tokens to be predicted: 80 % are masked, 10 % replaced, 10 % stay.

    Args:
        text: Token blocks, shape ``(B, L)``.
        domain_ids: Domain of each block, shape ``(B,)``.
        vocabulary: Of the tokenizer.
        masking: Share and whole-word option.
        generator: Source of all randomness.
    """
    token_ids = text.token_ids
    draws = torch.rand(token_ids.shape, generator=generator)
    continues = vocabulary.continues_word[token_ids]
    if masking.whole_words:
        draws = draws.gather(1, _word_starts(continues))
    maskable = text.attention_mask & ~vocabulary.is_special[token_ids]
    chosen = maskable & (draws < masking.share)
    fates = torch.rand(token_ids.shape, generator=generator)
    count = len(vocabulary.ordinary_ids)
    picks = torch.randint(count, token_ids.shape, generator=generator)
    is_masked = chosen & (fates < MASK_SHARE)
    is_replaced = chosen & (fates >= MASK_SHARE) & (fates < MASK_SHARE + RANDOM_SHARE)
    hidden = token_ids.masked_fill(is_masked, vocabulary.mask_id)
    hidden = torch.where(is_replaced, vocabulary.ordinary_ids[picks], hidden)
    labels = token_ids.masked_fill(~chosen, IGNORED)
    return MaskedTextBatch(hidden, text.attention_mask, labels, domain_ids)


def _word_starts(continues_word: Tensor) -> Tensor:
    """Return the position of the first token of each token's word, shape ``(B, L)``."""
    positions = torch.arange(continues_word.size(1)).expand_as(continues_word)
    return torch.where(continues_word, 0, positions).cummax(dim=1).values
