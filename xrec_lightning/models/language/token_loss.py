"""Cross-entropy over a vocabulary, of which only a block of logits exists at a time.

Shapes: M positions, D width, V tokens.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from typing_extensions import override

BLOCK_LOGITS = 2**22
"""Logits that exist at a time: as much memory as the allocator of a CPU keeps for the next ones."""


class TokenFigures(NamedTuple):
    """How well each token is predicted."""

    losses: Tensor
    """Cross-entropy, float32, shape ``(M,)``."""
    is_correct: Tensor
    """Whether the token had the highest logit, shape ``(M,)``."""


def summed_loss(states: Tensor, decoder: nn.Linear, labels: Tensor) -> Tensor:
    """Return the sum of ``F.cross_entropy(decoder(states), labels)``, a scalar.

    The gradient is made together with the loss, block by block, so that no logits are stored for it
    nor computed again.

    Args:
        states: Shape ``(M, D)``.
        decoder: Makes the logits, of width V.
        labels: Shape ``(M,)``.
    """
    return _SummedLoss.apply(states, decoder.weight, decoder.bias, labels)  # type: ignore[no-untyped-call]  # torch has no types for it


@torch.no_grad()
def token_figures(states: Tensor, decoder: nn.Linear, labels: Tensor) -> TokenFigures:
    """Return loss and correctness of each token; arguments as of `summed_loss`."""
    losses, is_correct = [], []
    rows = max(1, BLOCK_LOGITS // decoder.out_features)
    for block, wanted in zip(torch.split(states, rows), torch.split(labels, rows), strict=True):
        logits = decoder(block).float()
        losses.append(F.cross_entropy(logits, wanted, reduction="none"))
        is_correct.append(logits.argmax(dim=1) == wanted)
    return TokenFigures(torch.cat(losses), torch.cat(is_correct))


class _SummedLoss(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        states, weight, bias, labels = inputs
        needs = ctx.needs_input_grad
        given = [each if each is None else each.dtype for each in (states, weight, bias)]
        if torch.is_autocast_enabled(states.device.type):
            dtype = torch.get_autocast_dtype(states.device.type)
            states, weight = states.to(dtype), weight.to(dtype)
            bias = None if bias is None else bias.to(dtype)
        gradients = [
            torch.zeros_like(each) if need else None
            for each, need in zip((states, weight, bias), needs, strict=False)
        ]
        with torch.autocast(states.device.type, enabled=False):
            total = _add_blocks(states, weight, bias, labels, gradients)
        ctx.gradients = [
            None if each is None else each.to(dtype)
            for each, dtype in zip(gradients, given, strict=True)
        ]
        return total

    @staticmethod
    @override
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        # Kept nowhere else, they can be added to in place by whoever gets them.
        gradients, ctx.gradients = ctx.gradients, None
        return *(None if each is None else each.mul_(outer[0]) for each in gradients), None


def _add_blocks(
    states: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    gradients: list[Tensor | None],
) -> Tensor:
    """Return the summed loss, and add its gradients to those that are asked for."""
    to_states, to_weight, to_bias = gradients
    total = torch.zeros((), device=states.device)
    size = max(1, BLOCK_LOGITS // len(weight))
    for start in range(0, len(states), size):
        rows = slice(start, start + size)
        wanted = labels[rows, None]
        shares = F.linear(states[rows], weight, bias).float().log_softmax(dim=1)
        total -= shares.gather(1, wanted).sum()
        shares.exp_().scatter_add_(1, wanted, -torch.ones_like(wanted, dtype=shares.dtype))
        shares = shares.to(states.dtype)
        if to_states is not None:
            torch.mm(shares, weight, out=to_states[rows])
        if to_weight is not None:
            to_weight.addmm_(shares.T, states[rows])
        if to_bias is not None:
            to_bias += shares.sum(dim=0)
    return total
