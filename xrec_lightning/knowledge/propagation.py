"""Vectors of a graph's nodes, smoothed along its edges without parameters."""

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array, diags_array
from torch import Tensor


def normalized_adjacency(edges: Tensor, num_nodes: int) -> csr_array:
    """Return the adjacency matrix in which an edge counts one over the roots of both degrees.

    Edges have no direction and no weight: equal ones count once, and loops not at all.

    Args:
        edges: Both nodes of each edge, int64, shape ``(2, E)``.
        num_nodes: Number of nodes, M.

    Returns:
        Float32, shape ``(M, M)``; the row of a node without edges is zero.
    """
    left, right = (ends.numpy() for ends in edges[:, edges[0] != edges[1]])
    ends = (np.concatenate([left, right]), np.concatenate([right, left]))
    matrix = coo_array((np.ones(len(ends[0])), ends), shape=(num_nodes, num_nodes)).tocsr()
    matrix.data[:] = 1.0
    degrees = np.asarray(matrix.sum(axis=1))
    roots = np.zeros_like(degrees)
    np.power(degrees, -0.5, out=roots, where=degrees > 0)
    scale = diags_array(roots)
    return (scale @ matrix @ scale).tocsr().astype(np.float32)


def propagate(
    adjacency: csr_array, vectors: Tensor, num_layers: int, self_weight: float = 1.0
) -> Tensor:
    """Return ``(s E + A E + ... + A^K E) / (s + K)``: each vector averaged with its neighbors'.

    LightGCN without its trained table (He et al., 2020, arXiv:2002.02126): the vectors are given,
    and with a ``self_weight`` s other than 1 a node's own vector counts otherwise than the paper's.

    Args:
        adjacency: Normalized adjacency ``A``, shape ``(M, M)``.
        vectors: Vector of each node, float32, shape ``(M, D)``.
        num_layers: Steps along the edges, ``K``.
        self_weight: Weight of the vectors as they were given.

    Returns:
        Shape ``(M, D)``; a node without edges keeps the direction of its own vector.
    """
    layer = vectors.numpy()
    total = self_weight * layer
    for _ in range(num_layers):
        layer = adjacency @ layer
        total += layer
    return torch.from_numpy(total / (self_weight + num_layers))
