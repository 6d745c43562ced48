"""Weights of a sum of score parts, fitted by ranking on targets that no part was trained on."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

FACTORS = (0.0, 0.25, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0)
"""What each weight is multiplied with in search of a better one."""

TOP_K = 20
"""Cut-off of the NDCG that is maximized: a little deeper than what is reported, for less noise."""
OFFSETS = (-50.0, 50.0)
"""Between these an offset of cold items is searched, in logits."""
BISECTIONS = 14


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


def fit_weights(evidence: Evidence, weights: Tensor, rounds: int = 2) -> Tensor:
    """Return weights of the parts under which targets rank best.

    Coordinate ascent over `FACTORS` on NDCG@`TOP_K`: it needs no gradient and agrees with what is
    reported. The first weight stays as it is, since only ratios matter. The same input gives the
    same weights.

    Args:
        evidence: Targets held out of training, and their candidates.
        weights: Positive weights to start from, shape ``(C,)``.
        rounds: Most passes over the weights.
    """
    best = weights.clone()
    # Differences to the target's own score: a candidate is above it where their sum is positive.
    margins = [part - part.gather(1, evidence.targets[:, None]) for part in evidence.parts]
    margins[0] = margins[0].masked_fill(evidence.is_excluded, float("-inf"))
    others, total = torch.empty_like(margins[0]), torch.empty_like(margins[0])
    value = 0.0
    for _ in range(rounds):
        before = value
        for index in range(1, len(best)):
            _sum(
                margins,
                best.where(torch.arange(len(best), device=best.device) != index, 0.0),
                out=others,
            )
            start = float(best[index] or weights[index])
            for factor in FACTORS:
                torch.add(others, margins[index], alpha=start * factor, out=total)
                gain = _mean_gain(total)
                if gain > value:
                    value, best[index] = gain, start * factor
        if value == before:
            break
    return best


def fit_cold_offset(
    evidence: Evidence, weights: Tensor, is_cold: Tensor, tolerance: float
) -> float:
    """Return the largest offset of cold candidates that warm targets can afford.

    Scores of items with and without training events are on different scales: left alone, cold
    items are never recommended. Raised by the offset they compete with the warm ones, and warm
    targets lose at most the share ``tolerance`` of their NDCG@`TOP_K`. Where these targets cannot
    tell, because none is ranked high or no cold item gets in their way, the offset is 0.

    Args:
        evidence: Warm targets held out of training, and all their candidates.
        weights: Weights of the parts, shape ``(C,)``.
        is_cold: Candidates that are raised, shape ``(N,)``.
        tolerance: Between 0 and 1.
    """
    if not is_cold.any():
        return 0.0
    margins = [part - part.gather(1, evidence.targets[:, None]) for part in evidence.parts]
    total = torch.empty_like(margins[0])
    _sum(margins, weights, out=total)
    total.masked_fill_(evidence.is_excluded, float("-inf"))
    warm_ranks = (total[:, ~is_cold] >= 0).sum(dim=1)
    cold = total[:, is_cold]

    def gain(offset: float) -> float:
        return _ndcg(warm_ranks + (cold >= -offset).sum(dim=1))

    low, high = OFFSETS
    enough = (1.0 - tolerance) * gain(low)
    if enough == 0.0 or gain(high) >= enough:
        return 0.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if gain(middle) >= enough else (low, middle)
    return low


def mean_gain(evidence: Evidence, weights: Tensor) -> float:
    """Return NDCG@`TOP_K` of the weighted sum of the parts, ties against the target."""
    margins = [part - part.gather(1, evidence.targets[:, None]) for part in evidence.parts]
    total = torch.empty_like(margins[0])
    _sum(margins, weights, out=total)
    return _mean_gain(total.masked_fill(evidence.is_excluded, float("-inf")))


def _mean_gain(margins: Tensor) -> float:
    """Return the mean gain of targets; ``margins`` are overwritten."""
    is_above = margins.ge_(0.0)  # ones and zeros: adding floats is five times faster than booleans
    ranks = (is_above @ torch.ones_like(margins[0])).clamp_min(1.0)  # the target itself is counted
    return _ndcg(ranks)


def _ndcg(ranks: Tensor) -> float:
    return (1.0 / torch.log2(ranks + 1.0)).where(ranks <= TOP_K, 0.0).mean().item()


def _sum(margins: Sequence[Tensor], weights: Tensor, out: Tensor) -> None:
    out.zero_()
    for margin, weight in zip(margins, weights.tolist(), strict=True):
        if weight:
            out.add_(margin, alpha=weight)
