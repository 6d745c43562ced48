"""Losses as pure functions.

Shapes: T targets, S negatives, D width.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from typing_extensions import override


def sampled_softmax_loss(
    target_logits: Tensor, negative_logits: Tensor, is_target: Tensor, log_expected: Tensor | None
) -> Tensor:
    """Return the cross-entropy of every target against shared sampled negatives.

    With ``log_expected`` the logits of the negatives are corrected for how often they are drawn
    (logQ, Bengio and Senecal 2008; Yi et al. 2019), so that the loss estimates the full softmax.
    Where the negatives are the whole catalog, it is the full softmax.

    Args:
        target_logits: Shape ``(T,)``.
        negative_logits: Shape ``(T, S)``.
        is_target: True where a negative is the row's own target, or none, and does not count,
            shape ``(T, S)``.
        log_expected: Logarithm of the expected number of draws of each negative, shape ``(S,)``;
            ``None`` leaves the logits as they are.

    Returns:
        Shape ``(T,)``.
    """
    if log_expected is not None:
        negative_logits = negative_logits - log_expected
    negative_logits = negative_logits.masked_fill(is_target, float("-inf"))
    return torch.logaddexp(target_logits, negative_logits.logsumexp(dim=-1)) - target_logits


def bce_loss(
    target_logits: Tensor,
    negative_logits: Tensor,
    is_target: Tensor,
    log_expected: Tensor | None,
    power: float = 1.0,
) -> Tensor:
    """Return the binary cross-entropy of every target and its negatives, a mean over both.

    With ``log_expected`` the negatives count in inverse proportion to their expected draws, so
    that the loss estimates that of uniform negatives.

    Args:
        target_logits: Shape ``(T,)``.
        negative_logits: Shape ``(T, S)``.
        is_target: True where a negative does not count, shape ``(T, S)``.
        log_expected: Logarithm of the expected number of draws of each negative, shape ``(S,)``.
        power: The predicted probability of the target counts to this power (`gbce_power`).

    Returns:
        Shape ``(T,)``.
    """
    weights = _negative_weights(is_target, log_expected)
    total = power * F.softplus(-target_logits) + (weights * F.softplus(negative_logits)).sum(dim=-1)
    return total / (1 + weights.sum(dim=-1))


def gbce_power(sampling_rate: float, calibration: float) -> float:
    """Return the power that makes `bce_loss` the generalized one, gBCE.

    It undoes what few negatives do: with them plain cross-entropy learns probabilities that are
    too large (Petrov and Macdonald, 2023, arXiv:2308.07192, their beta).

    Args:
        sampling_rate: Share of all negatives that is in a sample, above 0 (their alpha).
        calibration: 0 is plain cross-entropy, 1 learns the probabilities that all negatives would
            teach (their t).

    Example:
        >>> gbce_power(0.25, 0.0), gbce_power(0.25, 1.0), gbce_power(1.0, 0.5)
        (1.0, 0.25, 1.0)
    """
    return 1.0 - calibration * (1.0 - sampling_rate)


def bpr_loss(
    target_logits: Tensor, negative_logits: Tensor, is_target: Tensor, log_expected: Tensor | None
) -> Tensor:
    """Return how far every target is from standing above its negatives, a mean over them.

    It is the pairwise loss of BPR (Rendle et al., 2009, arXiv:1205.2618); with ``log_expected``
    the negatives count as in `bce_loss`. A target without negatives has loss 0.

    Args:
        target_logits: Shape ``(T,)``.
        negative_logits: Shape ``(T, S)``.
        is_target: True where a negative does not count, shape ``(T, S)``.
        log_expected: Logarithm of the expected number of draws of each negative, shape ``(S,)``.

    Returns:
        Shape ``(T,)``.
    """
    weights = _negative_weights(is_target, log_expected)
    losses = weights * F.softplus(negative_logits - target_logits[:, None])
    return losses.sum(dim=-1) / weights.sum(dim=-1).clamp_min(1.0)


def _negative_weights(is_target: Tensor, log_expected: Tensor | None) -> Tensor:
    """Return weights of the negatives whose sum is the number of those that count, ``(T, S)``."""
    counts = (~is_target).float()
    if log_expected is None:
        return counts
    weights = counts * (log_expected.amin() - log_expected).exp()
    return weights * (counts.sum(-1) / weights.sum(-1).clamp_min(1e-30))[:, None]


def block_log_sum_exp(
    queries: Tensor,
    keys: Tensor,
    bias: Tensor,
    target_ids: Tensor,
    item_ids: Tensor,
    block_size: int,
) -> Tensor:
    """Return the logarithm of the summed exponentials of logits, a block of them at a time.

    Neither the pass forward nor the one back holds more logits than a block; each computes them.
    The result and its gradient are those of ``(queries @ keys.T + bias).logsumexp(1)``, in single
    precision at least.

    Args:
        queries: Shape ``(T, D)``.
        keys: Shape ``(S, D)``.
        bias: Shape ``(S,)``.
        target_ids: Item of every row that does not count in it, shape ``(T,)``.
        item_ids: Items of the keys, shape ``(S,)``.
        block_size: Rows and columns of a block.

    Returns:
        Shape ``(T,)``; -inf where no key counts.
    """
    floats = [each.to(torch.promote_types(each.dtype, torch.float32)) for each in (queries, keys)]
    return _BlockLogSumExp.apply(  # type: ignore[no-untyped-call]  # torch has no types for it
        *floats, bias.to(floats[0].dtype), target_ids, item_ids, block_size
    )


class _BlockLogSumExp(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        queries, keys, bias, target_ids, item_ids, block_size = inputs
        own = _own_keys(target_ids, item_ids)
        total = queries.new_full((len(queries),), float("-inf"))
        with torch.autocast(queries.device.type, enabled=False):
            for rows, columns in _blocks(len(queries), len(keys), block_size):
                logits = _block_logits(queries, keys, bias, own, rows, columns)
                # In place, which `logsumexp` is not; the lowest number stands for no key at all.
                highest = logits.amax(dim=1).clamp_min(torch.finfo(logits.dtype).min)
                summed = logits.sub_(highest[:, None]).exp_().sum(dim=1)
                total[rows] = torch.logaddexp(total[rows], summed.log() + highest)
        ctx.save_for_backward(queries, keys, bias, *own, total)
        ctx.block_size = block_size
        return total

    @staticmethod
    @override
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, bias, *own, total = ctx.saved_tensors
        # A row in which no key counts has the total -inf and no gradient.
        total = total.masked_fill(total.isneginf(), 0.0)
        gradient = gradients[0]
        to_queries, to_keys, to_bias = (torch.zeros_like(each) for each in (queries, keys, bias))
        weighted = queries * gradient[:, None]
        for rows, columns in _blocks(len(queries), len(keys), ctx.block_size):
            logits = _block_logits(queries, keys, bias, own, rows, columns)
            shares = logits.sub_(total[rows, None]).exp_()
            to_queries[rows].addmm_(shares, keys[columns])
            to_keys[columns].addmm_(shares.T, weighted[rows])
            to_bias[columns].addmv_(shares.T, gradient[rows])
        return to_queries * gradient[:, None], to_keys, to_bias, None, None, None


def _blocks(num_rows: int, num_columns: int, size: int) -> Iterator[tuple[slice, slice]]:
    for row in range(0, num_rows, size):
        for column in range(0, num_columns, size):
            yield slice(row, row + size), slice(column, column + size)


def _own_keys(target_ids: Tensor, item_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return row and column of all pairs of a target with a key of the same item, by row.

    There are few: to look them up costs less than to compare every target with every key.
    """
    items, order = item_ids.sort(stable=True)
    target_ids = target_ids.contiguous()
    first = torch.searchsorted(items, target_ids)
    counts = torch.searchsorted(items, target_ids, right=True) - first
    rows = torch.arange(len(target_ids), device=counts.device).repeat_interleave(counts)
    before = counts.cumsum(0) - counts  # pairs of the rows before
    numbers = torch.arange(len(rows), device=counts.device) - before[rows]
    return rows, order[first[rows] + numbers]


def _block_logits(
    queries: Tensor,
    keys: Tensor,
    bias: Tensor,
    own: Sequence[Tensor],
    rows: slice,
    columns: slice,
) -> Tensor:
    logits = torch.addmm(bias[columns], queries[rows], keys[columns].T)
    own_rows, own_columns = own[0] - rows.start, own[1] - columns.start
    is_here = (own_rows >= 0) & (own_rows < logits.size(0))
    is_here &= (own_columns >= 0) & (own_columns < logits.size(1))
    logits[own_rows[is_here], own_columns[is_here]] = float("-inf")
    return logits
