"""Two views of a text drawn together, beside language modeling (SimCSE, arXiv:2104.08821)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from xrec_lightning.batches import TokenBatch


@dataclass(frozen=True, kw_only=True)
class ViewsConfig:
    """A contrastive term between two views of each text of a batch.

    With ``views: 2`` in the data other tokens are hidden in the second view; with 1 the batch is
    read twice, and drop-out makes the difference.
    """

    weight: float = 0.1
    """Of the term, where language modeling has 1."""
    temperature: float = 0.05
    """Divides the cosines."""

    def __post_init__(self) -> None:
        for key in ("weight", "temperature"):
            if getattr(self, key) <= 0.0:
                raise ValueError(f"contrastive.{key}: {getattr(self, key)} is not above 0")


torch.serialization.add_safe_globals([ViewsConfig])


def text_vectors(states: Tensor, batch: TokenBatch) -> Tensor:
    """Return the mean state of each text, shape ``(T, D)``.

    Args:
        states: Of all tokens, shape ``(B, L, D)``.
        batch: The same tokens.
    """
    real = batch.attention_mask
    rows = torch.arange(len(real), device=real.device)[:, None].expand_as(real)
    texts = (rows if batch.segments is None else batch.segments)[real]
    zeros = states.new_zeros(len(batch.domain_ids), states.size(-1))
    sums = zeros.index_add(0, texts, states[real])
    counts = torch.bincount(texts, minlength=len(sums)).clamp(min=1)
    return sums / counts[:, None]


def view_loss(left: Tensor, right: Tensor, text_ids: Tensor, temperature: float) -> Tensor:
    """Return the mean cross-entropy of finding each text's other view among all, in both ways.

    Args:
        left: Vectors of one view of each text, shape ``(N, D)``.
        right: Vectors of the other, shape ``(N, D)``.
        text_ids: Texts; an equal one in another row is no wrong answer, shape ``(N,)``.
        temperature: Divides the cosines.
    """
    logits = F.normalize(left, dim=1) @ F.normalize(right, dim=1).T / temperature
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    repeated = (text_ids[:, None] == text_ids) & ~own
    logits = logits.masked_fill(repeated, float("-inf"))
    answers = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, answers) + F.cross_entropy(logits.T, answers)) / 2
