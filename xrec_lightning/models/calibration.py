"""Weights of a sum of score parts, fitted by ranking on targets that no part was trained on."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

FACTORS = (0.0, 0.35, 0.5, 0.7, 0.85, 1.0, 1.2, 1.4, 2.0, 3.0)
"""What each weight is multiplied with in search of a better one."""


class Evidence(NamedTuple):
    """Parts of the scores of targets' candidates. T targets, N candidates, C parts."""

    parts: tuple[Tensor, ...]
    """Each part's score of each candidate, C tensors of shape ``(T, N)``."""
    is_excluded: Tensor
    """True where a candidate was seen and is not ranked, shape ``(T, N)``."""
    targets: Tensor
    """Column of each target, shape ``(T,)``."""


def concatenate(pieces: Sequence[Evidence]) -> Evidence:
    """Return the targets of all ``pieces``, which share their candidates."""
    return Evidence(
        parts=tuple(torch.cat(part) for part in zip(*(p.parts for p in pieces), strict=True)),
        is_excluded=torch.cat([piece.is_excluded for piece in pieces]),
        targets=torch.cat([piece.targets for piece in pieces]),
    )


def fit_weights(evidence: Evidence, weights: Tensor, rounds: int = 3) -> Tensor:
    """Return weights of the parts under which targets rank best.

    Coordinate ascent over `FACTORS` on the mean of ``1 / log2(1 + rank)``, NDCG without cut-off:
    it needs no gradient, uses every target and agrees with what is reported. The first weight
    stays as it is, since only ratios matter. The same input gives the same weights.

    Args:
        evidence: Targets held out of training, and their candidates.
        weights: Positive weights to start from, shape ``(C,)``.
        rounds: Most passes over the weights.
    """
    best = weights.clone()
    value = mean_gain(evidence, _total(evidence, best))
    for _ in range(rounds):
        before = value
        for index in range(1, len(best)):
            others = _total(
                evidence, best.where(torch.arange(len(best), device=best.device) != index, 0.0)
            )
            start = float(best[index] if best[index] > 0 else weights[index])
            for factor in FACTORS:
                gain = mean_gain(evidence, others + evidence.parts[index] * (start * factor))
                if gain > value:
                    value = gain
                    best[index] = start * factor
        if value == before:
            break
    return best


def mean_gain(evidence: Evidence, scores: Tensor) -> float:
    """Return the mean of ``1 / log2(1 + rank)``, ties against the target."""
    target_scores = scores.gather(1, evidence.targets[:, None])
    is_above = (scores >= target_scores) & ~evidence.is_excluded
    ranks = is_above.sum(dim=1).clamp_min(1)  # the target itself is counted
    return (1.0 / torch.log2(ranks + 1.0)).mean().item()


def _total(evidence: Evidence, weights: Tensor) -> Tensor:
    total = torch.zeros_like(evidence.parts[0])
    for part, weight in zip(evidence.parts, weights.tolist(), strict=True):
        if weight:
            total.add_(part, alpha=weight)
    return total
