"""Weights of a sum of score parts, fitted by ranking on targets that no part was trained on."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

FACTORS = (0.0, 0.25, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0)
"""What each weight is multiplied with in search of a better one."""

TOP_K = 20
"""Cut-off of the NDCG that is maximized: a little deeper than what is reported, for less noise."""
TAIL_FACTORS = (1.1, 1.2, 1.35, 1.5, 2.0)
"""What the weights of items of few training events are multiplied with."""
OFFSETS = (-50.0, 50.0)
"""Between these an offset of cold items is searched, in logits."""
BISECTIONS = 14


class Evidence(NamedTuple):
    """Parts of the scores of candidates in one domain. T targets, N candidates, C parts."""

    parts: tuple[Tensor, ...]
    """Each part's score of each candidate, C tensors of shape ``(T, N)``."""
    bias: Tensor
    """What is added to the weighted sum, shape ``(N,)``."""
    is_excluded: Tensor
    """True where a candidate was seen and is not ranked, shape ``(T, N)``."""
    targets: Tensor
    """Column of each target, shape ``(T,)``."""


def concatenate(pieces: Sequence[Evidence]) -> Evidence:
    """Return the targets of all ``pieces``, which share their candidates."""
    return Evidence(
        parts=tuple(torch.cat(part) for part in zip(*(p.parts for p in pieces), strict=True)),
        bias=pieces[0].bias,
        is_excluded=torch.cat([piece.is_excluded for piece in pieces]),
        targets=torch.cat([piece.targets for piece in pieces]),
    )


def fit_weights(evidence: Sequence[Evidence], weights: Tensor, rounds: int = 2) -> Tensor:
    """Return the weights of the parts under which the targets of all domains rank best.

    Coordinate ascent over `FACTORS` on NDCG@`TOP_K`: it needs no gradient and agrees with what is
    reported. The first weight stays as it is: the bias was trained beside it. The same input gives
    the same weights.

    Args:
        evidence: Targets held out of training, and their candidates, one a domain.
        weights: Weights to start from, shape ``(C,)``.
        rounds: Most passes over the weights.
    """
    best = weights.clone()
    margins = [_margins(each, float(weights[0])) for each in evidence]
    others = [torch.empty_like(each[0]) for each in margins]
    totals = [torch.empty_like(each[0]) for each in margins]
    value = 0.0
    for _ in range(rounds):
        before = value
        for index in range(1, len(best)):
            rest = best.clone()
            rest[index] = 0.0
            for own, other in zip(margins, others, strict=True):
                _sum(own, rest, out=other)
            start = float(best[index] or weights[index])
            for factor in FACTORS:
                gains = []
                for own, other, total in zip(margins, others, totals, strict=True):
                    torch.add(other, own[index], alpha=start * factor, out=total)
                    gains.append(_gains(total))
                gain = torch.cat(gains).mean().item()
                if gain > value:
                    value, best[index] = gain, start * factor
        if value == before:
            break
    return best


def refine_weights(evidence: Evidence, weights: Tensor) -> Tensor:
    """Return weights of one domain's own, or those of all domains where these do as well.

    Few targets fit noise: weights of its own must gain more than the standard error of their gain.

    Args:
        evidence: Targets of the domain.
        weights: Weights fitted on the targets of all domains, shape ``(C,)``.
    """
    own = fit_weights([evidence], weights, rounds=1)
    is_better = _is_surely_above(target_gains(evidence, own), target_gains(evidence, weights))
    return own if is_better else weights


def fit_tail_factors(
    evidence: Sequence[Evidence],
    weights: Sequence[Tensor],
    is_tail: Sequence[Tensor],
    tolerance: float,
) -> Tensor:
    """Return what the parts' weights are multiplied with for items of few training events.

    Weights that are best for all targets are best for popular ones, which are found most often.
    Every part in turn gets the factor of `TAIL_FACTORS` under which targets of the tail rank best,
    if they gain more than the standard error of their gain and all targets together lose at most
    the share ``tolerance`` of their NDCG@`TOP_K`.

    Args:
        evidence: Warm targets held out of training, and their candidates, one a domain.
        weights: Weights of the parts in each domain, each of shape ``(C,)``.
        is_tail: True for candidates of the tail, one a domain, each of shape ``(N,)``.
        tolerance: Between 0 and 1.

    Returns:
        Shape ``(C,)``.
    """
    factors = torch.ones_like(weights[0])
    totals = [_total(each, own) for each, own in zip(evidence, weights, strict=True)]
    gains = torch.cat([_gains(total.clone()) for total in totals])
    enough = (1.0 - tolerance) * gains.mean()
    pairs = zip(evidence, is_tail, strict=True)
    is_own = torch.cat([tail[each.targets] for each, tail in pairs])
    for index in range(len(factors)):
        shares = [
            _tail_part(each.parts[index] * own[index], tail, each.targets)
            for each, own, tail in zip(evidence, weights, is_tail, strict=True)
        ]
        for factor in TAIL_FACTORS:
            moved = [_moved(*each, factor - 1.0) for each in zip(totals, shares, strict=True)]
            tried = torch.cat([_gains(total) for total in moved])
            if tried.mean() >= enough and _is_surely_above(tried[is_own], gains[is_own]):
                gains, factors[index] = tried, factor
        step = float(factors[index]) - 1.0
        totals = [_moved(*each, step) for each in zip(totals, shares, strict=True)]
    return factors


class _TailPart(NamedTuple):
    """What one part says of the candidates of the tail. T targets, B candidates of the tail."""

    columns: Tensor
    """Shape ``(B,)``."""
    part: Tensor
    """Its weighted scores, shape ``(T, B)``."""
    of_target: Tensor
    """That of each target, 0 where it is not of the tail, shape ``(T, 1)``."""


def _tail_part(part: Tensor, is_tail: Tensor, targets: Tensor) -> _TailPart:
    columns = is_tail.nonzero()[:, 0]
    of_target = part.gather(1, targets[:, None]) * is_tail[targets][:, None]
    return _TailPart(columns, part[:, columns], of_target)


def _moved(total: Tensor, share: _TailPart, change: float) -> Tensor:
    """Return by how much candidates are above the target once a factor was changed, ``(T, N)``."""
    moved = total - share.of_target * change
    return moved.index_add_(1, share.columns, share.part, alpha=change)


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
    total = _total(evidence, weights)
    warm_ranks = (total[:, ~is_cold] >= 0).sum(dim=1)
    cold = total[:, is_cold]

    def gain(offset: float) -> float:
        return _gains_of(warm_ranks + (cold >= -offset).sum(dim=1)).mean().item()

    low, high = OFFSETS
    enough = (1.0 - tolerance) * gain(low)
    if enough == 0.0 or gain(high) >= enough:
        return 0.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if gain(middle) >= enough else (low, middle)
    return low


def target_gains(evidence: Evidence, weights: Tensor) -> Tensor:
    """Return NDCG@`TOP_K` of each target, ties against it, shape ``(T,)``."""
    return _gains(_total(evidence, weights))


def _is_surely_above(new: Tensor, old: Tensor) -> bool:
    """Return whether the mean of paired differences is more than its standard error."""
    difference = new - old
    if len(difference) < 2:  # one difference has no error
        return False
    error = difference.std() / len(difference) ** 0.5
    return bool(difference.mean() > error)


def _margins(evidence: Evidence, first: float) -> list[Tensor]:
    """Return differences to the target's own parts; the first holds the bias and what is seen.

    A candidate is above the target where their weighted sum is positive. The bias has the weight 1,
    so that it is divided by that of the ``first`` part.
    """
    columns = evidence.targets[:, None]
    margins = [part - part.gather(1, columns) for part in evidence.parts]
    margins[0] += (evidence.bias - evidence.bias[columns]) / first
    margins[0].masked_fill_(evidence.is_excluded, float("-inf"))
    return margins


def _total(evidence: Evidence, weights: Tensor) -> Tensor:
    """Return by how much each candidate's score is above the target's, shape ``(T, N)``."""
    total = torch.zeros_like(evidence.parts[0])
    _sum(evidence.parts, weights, out=total)
    total += evidence.bias
    total -= total.gather(1, evidence.targets[:, None])
    return total.masked_fill_(evidence.is_excluded, float("-inf"))


def _gains(margins: Tensor) -> Tensor:
    """Return the gain of each target; ``margins`` are overwritten."""
    is_above = margins.ge_(0.0)  # ones and zeros: adding floats is five times faster than booleans
    ranks = (is_above @ torch.ones_like(margins[0])).clamp_min(1.0)  # the target itself is counted
    return _gains_of(ranks)


def _gains_of(ranks: Tensor) -> Tensor:
    return (1.0 / torch.log2(ranks + 1.0)).where(ranks <= TOP_K, 0.0)


def _sum(parts: Sequence[Tensor], weights: Tensor, out: Tensor) -> None:
    out.zero_()
    for part, weight in zip(parts, weights.tolist(), strict=True):
        if weight:
            out.add_(part, alpha=weight)
