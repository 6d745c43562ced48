"""The choice of a loss, and what it is made of.

Each loss compares the targets of one domain with negatives of that domain (`models.negatives`).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from xrec_lightning.models.losses import (
    bce_loss,
    block_log_sum_exp,
    bpr_loss,
    gbce_power,
    sampled_softmax_loss,
)


class Logits(NamedTuple):
    """Logits of targets and of what they are told apart from. T targets, M negatives of each."""

    target_logits: Tensor
    """Shape ``(T,)``."""
    negative_logits: Tensor
    """Shape ``(T, M)``."""
    is_excluded: Tensor
    """True where a negative does not count, shape ``(T, M)``."""
    log_expected: Tensor | None
    """Correction of the negatives, shape ``(M,)``."""


class Comparison(NamedTuple):
    """The targets of a batch in one domain, as one channel sees them, and their negatives.

    Shapes: T targets, S negatives that they share, K dislikes of each, N items, D width.
    """

    queries: Tensor
    """Divided by the temperature, shape ``(T, D)``."""
    keys: Tensor
    """Shape ``(N + 1, D)``."""
    bias: Tensor
    """Shape ``(N + 1,)``."""
    target_ids: Tensor
    """Shape ``(T,)``."""
    negative_ids: Tensor
    """Shape ``(S,)``."""
    log_expected: Tensor | None
    """Logarithm of how often each is expected in the sample, shape ``(S,)``."""
    num_candidates: int
    """Items of the domain that negatives are drawn from."""
    disliked_logits: Tensor | None = None
    """Shape ``(T, K)``."""
    is_no_dislike: Tensor | None = None
    """True where there is none, or it is the target, or of another domain, shape ``(T, K)``."""

    def target_logits(self) -> Tensor:
        """Return the logit of every target, shape ``(T,)``."""
        products = (self.queries * self.keys[self.target_ids]).sum(dim=-1)
        return products + self.bias[self.target_ids]

    def logits(self) -> Logits:
        """Return all logits at once; the dislikes follow the negatives, as if sampled once."""
        target_logits = self.target_logits()
        negative_logits = self.queries @ self.keys[self.negative_ids].T
        negative_logits = negative_logits + self.bias[self.negative_ids]
        is_excluded = self.target_ids[:, None] == self.negative_ids
        log_expected = self.log_expected
        if self.disliked_logits is not None and self.is_no_dislike is not None:
            negative_logits = torch.cat([negative_logits, self.disliked_logits], dim=1)
            is_excluded = torch.cat([is_excluded, self.is_no_dislike], dim=1)
            if log_expected is not None:
                log_expected = F.pad(log_expected, (0, self.disliked_logits.size(1)))
        return Logits(target_logits, negative_logits, is_excluded, log_expected)


@dataclass(frozen=True, kw_only=True)
class LossConfig(ABC):
    """What a channel is trained to do with the targets of a domain."""

    needs_all: ClassVar[bool] = False
    """Whether all trained items of the domain are negatives, whatever ``num_negatives`` says."""
    is_blockwise: ClassVar[bool] = False
    """Whether it never holds the logits of all targets and negatives at once."""

    @abstractmethod
    def losses(self, comparison: Comparison) -> Tensor:
        """Return the loss of every target, shape ``(T,)``."""


@dataclass(frozen=True, kw_only=True)
class SampledSoftmaxLossConfig(LossConfig):
    """Cross-entropy against sampled negatives, corrected by logQ where they are not uniform."""

    @override
    def losses(self, comparison: Comparison) -> Tensor:
        return sampled_softmax_loss(*comparison.logits())


@dataclass(frozen=True, kw_only=True)
class FullSoftmaxLossConfig(LossConfig):
    """Cross-entropy against all trained items of the domain, all logits at once."""

    needs_all: ClassVar[bool] = True

    @override
    def losses(self, comparison: Comparison) -> Tensor:
        return sampled_softmax_loss(*comparison.logits())


@dataclass(frozen=True, kw_only=True)
class ChunkedSoftmaxLossConfig(LossConfig):
    """The same loss a block of logits at a time: memory for one block, logits computed twice."""

    needs_all: ClassVar[bool] = True
    is_blockwise: ClassVar[bool] = True

    block_size: int = 512
    """Targets and items of a block; it holds the square of it."""

    def __post_init__(self) -> None:
        if self.block_size < 1:
            raise ValueError(
                f"ChunkedSoftmaxLossConfig.block_size is {self.block_size}: set it to 1 or more, "
                "e.g. 512"
            )

    @override
    def losses(self, comparison: Comparison) -> Tensor:
        target_logits = comparison.target_logits()
        total = block_log_sum_exp(
            comparison.queries,
            comparison.keys[comparison.negative_ids],
            comparison.bias[comparison.negative_ids],
            comparison.target_ids,
            comparison.negative_ids,
            self.block_size,
        )
        disliked = comparison.disliked_logits
        if disliked is not None and comparison.is_no_dislike is not None:
            disliked = disliked.masked_fill(comparison.is_no_dislike, float("-inf"))
            total = torch.logaddexp(total, disliked.logsumexp(dim=1))
        return torch.logaddexp(target_logits, total) - target_logits


@dataclass(frozen=True, kw_only=True)
class BCELossConfig(LossConfig):
    """Binary cross-entropy of the target and of each negative; too sure of itself with few."""

    @override
    def losses(self, comparison: Comparison) -> Tensor:
        return bce_loss(*comparison.logits())


@dataclass(frozen=True, kw_only=True)
class GBCELossConfig(LossConfig):
    """Binary cross-entropy that few negatives do not make too sure of itself (gSASRec)."""

    calibration: float = 0.75
    """0 is plain binary cross-entropy, 1 learns the probabilities that all items would teach."""

    def __post_init__(self) -> None:
        if not 0 <= self.calibration <= 1:
            raise ValueError(
                f"GBCELossConfig.calibration is {self.calibration}: set it from 0 to 1"
            )

    @override
    def losses(self, comparison: Comparison) -> Tensor:
        rate = min(1.0, len(comparison.negative_ids) / max(1, comparison.num_candidates))
        return bce_loss(*comparison.logits(), power=gbce_power(rate, self.calibration))


@dataclass(frozen=True, kw_only=True)
class BPRLossConfig(LossConfig):
    """Each target above each negative, pair by pair."""

    @override
    def losses(self, comparison: Comparison) -> Tensor:
        return bpr_loss(*comparison.logits())


torch.serialization.add_safe_globals(
    [
        SampledSoftmaxLossConfig,
        FullSoftmaxLossConfig,
        ChunkedSoftmaxLossConfig,
        BCELossConfig,
        GBCELossConfig,
        BPRLossConfig,
    ]
)
