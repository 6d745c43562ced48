"""What a language model learns to predict of a text."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from typing_extensions import override

from xrec_lightning.data.text.masking import IGNORED, Hidden, Masking, Spans, hide_tokens
from xrec_lightning.data.text.packing import Blocks
from xrec_lightning.data.text.tokenize import (
    TokenizedTexts,
    Tokenizer,
    masking_vocabulary,
    with_end,
)

Labeler = Callable[[Blocks, torch.Generator], Hidden]
"""Makes the labels of blocks, of random numbers where it needs any."""


@dataclass(frozen=True)
class ObjectiveConfig(ABC):
    """What is predicted."""

    name: ClassVar[Literal["mlm", "clm"]]

    @abstractmethod
    def build(self, tokenizer: Tokenizer) -> Labeler:
        """Return what makes labels for the texts of a tokenizer."""

    def finish(
        self, tokens: TokenizedTexts, tokenizer: Tokenizer, max_tokens: int
    ) -> TokenizedTexts:
        """Return tokenized texts with all that the objective needs of them."""
        return tokens


@dataclass(frozen=True, kw_only=True)
class MaskedObjective(ObjectiveConfig):
    """Hidden tokens are predicted: 80 % of them are masked, 10 % replaced, 10 % stay."""

    name: ClassVar[Literal["mlm", "clm"]] = "mlm"

    share: float = 0.15
    """Share of the tokens that is predicted."""
    whole_words: bool = False
    """Hide all tokens of a word or none; in Chinese and Japanese each character is a word."""
    spans: bool = False
    """Hide runs of tokens, or of words with ``whole_words``, of geometric length."""
    span_stop: float = 0.2
    """Probability that a span ends after each of its words."""
    longest_span: int = 10
    """Longest span, in words."""

    def __post_init__(self) -> None:
        for key in ("share", "span_stop"):
            value = getattr(self, key)
            if not 0.0 < value < 1.0:
                raise ValueError(f"objective.{key}: {value} is not between 0 and 1")
        if self.longest_span < 1:
            raise ValueError(f"objective.longest_span: {self.longest_span} is not at least 1")

    @override
    def build(self, tokenizer: Tokenizer) -> Labeler:
        vocabulary = masking_vocabulary(tokenizer)
        spans = Spans(self.span_stop, self.longest_span) if self.spans else None
        masking = Masking(self.share, self.whole_words, spans)

        def label(blocks: Blocks, generator: torch.Generator) -> Hidden:
            text, positions = blocks.text, blocks.positions
            return hide_tokens(text, positions, vocabulary, masking, generator, blocks.triples)

        return label


@dataclass(frozen=True, kw_only=True)
class CausalObjective(ObjectiveConfig):
    """Each next token of a text is predicted, its end included."""

    name: ClassVar[Literal["mlm", "clm"]] = "clm"

    @override
    def build(self, tokenizer: Tokenizer) -> Labeler:
        return label_next

    @override
    def finish(
        self, tokens: TokenizedTexts, tokenizer: Tokenizer, max_tokens: int
    ) -> TokenizedTexts:
        if tokenizer.eos_token_id is None:
            return tokens
        return with_end(tokens, int(tokenizer.eos_token_id), max_tokens)


def label_next(blocks: Blocks, generator: torch.Generator) -> Hidden:
    """Return the texts as they are; each token but a text's last one predicts the one after it.

    Of triples whose tails are to be predicted, only they are.
    """
    token_ids, segments = blocks.text.token_ids, blocks.segments
    predicted = (segments[:, 1:] == segments[:, :-1]) & blocks.text.attention_mask[:, 1:]
    if blocks.triples is not None:
        predicted &= ~blocks.triples.is_triple[:, 1:] | blocks.triples.is_tail[:, 1:]
    labels = torch.full_like(token_ids, IGNORED)
    labels[:, :-1] = token_ids[:, 1:].masked_fill(~predicted, IGNORED)
    return Hidden(token_ids, labels)
