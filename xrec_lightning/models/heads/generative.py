"""From the logits of the next token to that of a yes."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

Against = Literal["answers", "vocabulary"]
"""What the right answer has to win against: the other answer, or every token."""


@dataclass(frozen=True, kw_only=True)
class GenerativeConfig:
    """The two answers, and how a `GenerativeHead` learns them."""

    yes: str = " Yes"
    """What follows the prompt of a choice; one token of the tokenizer, space before it included."""
    no: str = " No"
    """What follows the prompt of any other candidate; likewise."""
    against: Against = "answers"
    """Train the right answer against the other one, or against the whole vocabulary."""

    def build(self, yes_id: int, no_id: int) -> "GenerativeHead":
        """Return the head.

        Args:
            yes_id: Token of `yes`.
            no_id: Token of `no`.

        Raises:
            ValueError: If both answers are the same token.
        """
        if yes_id == no_id:
            raise ValueError(f"head.yes and head.no are one token, {self.yes!r}; name two words")
        return GenerativeHead(self, yes_id, no_id)


torch.serialization.add_safe_globals([GenerativeConfig])


class GenerativeHead(nn.Module):
    """Yes or no as the next token of a prompt (TALLRec, Bao et al., 2023, arXiv:2305.00447).

    TALLRec trains the answer as any other text, against the whole vocabulary, and scores by the
    share of yes among yes and no; against the other answer alone, training is for that very score.
    It has no weights. Shapes: B prompts, V tokens of the vocabulary.
    """

    def __init__(self, config: GenerativeConfig, yes_id: int, no_id: int) -> None:
        super().__init__()
        self.against = config.against
        self.yes_id = yes_id
        self.no_id = no_id

    @override
    def forward(self, logits: Tensor) -> Tensor:
        """Return the logits of yes against no, shape ``(B,)``.

        Args:
            logits: Of the next token, shape ``(B, V)``.
        """
        return logits[:, self.yes_id] - logits[:, self.no_id]

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy of the right answers, shape ``()``.

        Args:
            logits: Of the next token, shape ``(B, V)``.
            labels: 1 where yes is right, else 0, shape ``(B,)``, float32.
        """
        if self.against == "answers":
            return functional.binary_cross_entropy_with_logits(self(logits), labels)
        answers = torch.where(labels > 0, self.yes_id, self.no_id)
        return functional.cross_entropy(logits, answers)
