"""LightGCN, vectors smoothed over the user-item graph (He et al., SIGIR 2020, arXiv:2002.02126)."""

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.knowledge.propagation import normalized_adjacency
from xrec_lightning.models.baselines.factors import FactorBaseline, FactorConfig, Propagation


@dataclass(frozen=True, kw_only=True)
class LightGCNConfig(FactorConfig):
    """Settings of a `LightGCN`."""

    num_layers: int = 3
    """Steps over the graph; 0 is BPR-MF."""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_layers < 0:
            raise ValueError(f"LightGCNConfig.num_layers is {self.num_layers}: set it to 0 or more")

    @override
    def build(self, catalog: Catalog) -> "LightGCN":
        return LightGCN(self, catalog)


torch.serialization.add_safe_globals([LightGCNConfig])


class LightGCN(FactorBaseline):
    """Vectors of users and items, each averaged with those of its neighbors 1 to K steps away.

    The graph is that of the training interactions of all domains, without weights; an edge counts
    one over the root of the degrees of both ends. Unlike the paper, negatives come from the domain
    of the positive item, in which it will be ranked. Every step walks the whole graph.
    """

    def __init__(self, config: LightGCNConfig, catalog: Catalog) -> None:
        super().__init__(config, catalog)
        self.num_layers = config.num_layers

    @override
    def propagation(self, user_ids: Tensor, item_ids: Tensor) -> Propagation:
        num_nodes = self.num_users + self.num_items + 2
        adjacency = user_item_graph(user_ids, item_ids + self.num_users + 1, num_nodes)

        def propagate(vectors: Tensor) -> Tensor:
            total = layer = vectors
            for _ in range(self.num_layers):
                layer = spread(adjacency, layer)
                total = total + layer
            return total / (self.num_layers + 1)

        return propagate


def spread(adjacency: Tensor, vectors: Tensor) -> Tensor:
    """Return ``adjacency @ vectors``; the sparse matrix must be symmetric."""
    result: Tensor = _Spread.apply(adjacency, vectors)  # type: ignore[no-untyped-call]  # torch's
    return result


class _Spread(torch.autograd.Function):
    """Multiply by a symmetric sparse matrix, which is its own transpose on the way back."""

    @staticmethod
    def forward(ctx: Any, adjacency: Tensor, vectors: Tensor) -> Tensor:
        ctx.adjacency = adjacency
        return adjacency @ vectors

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, ctx.adjacency @ gradients[0]


def user_item_graph(left: Tensor, right: Tensor, size: int) -> Tensor:
    """Return `normalized_adjacency` of pairs of nodes as a sparse matrix of their device.

    Args:
        left: Nodes, shape ``(M,)``.
        right: Their neighbors, shape ``(M,)``.
        size: Number of nodes, rows and columns of the result.
    """
    matrix = normalized_adjacency(torch.stack([left, right]).cpu(), size)
    starts, columns, values = map(torch.from_numpy, (matrix.indptr, matrix.indices, matrix.data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch calls rows of sparse matrices a beta
        return torch.sparse_csr_tensor(starts, columns, values, (size, size)).to(left.device)
