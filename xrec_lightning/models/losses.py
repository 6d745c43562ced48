"""Losses as pure functions."""

import torch
from torch import Tensor


def sampled_softmax_loss(
    target_logits: Tensor, negative_logits: Tensor, is_target: Tensor, log_expected: Tensor | None
) -> Tensor:
    """Return the cross-entropy of every target against shared sampled negatives.

    With ``log_expected`` the logits of the negatives are corrected for how often they are drawn
    (logQ, Bengio and Senecal 2008; Yi et al. 2019), so that the loss estimates the full softmax.

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
