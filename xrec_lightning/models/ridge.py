"""Weighted ridge regression: a linear map from one kind of vectors to another."""

import torch
from torch import Tensor


def ridge_map(inputs: Tensor, outputs: Tensor, weights: Tensor, penalty: float) -> Tensor:
    """Return the matrix ``M`` that minimizes ``sum_i w_i |x_i M - y_i|^2 + penalty |M|^2``.

    Args:
        inputs: Shape ``(M, D)``.
        outputs: Shape ``(M, K)``.
        weights: Weight of each row, shape ``(M,)``.
        penalty: Positive; the larger, the smaller and smoother the map.

    Returns:
        Shape ``(D, K)``.
    """
    weighted = inputs * weights[:, None]
    gram = weighted.T @ inputs + penalty * torch.eye(inputs.size(1), device=inputs.device)
    return torch.linalg.solve(gram, weighted.T @ outputs)
