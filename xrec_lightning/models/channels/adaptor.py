"""Trained maps from knowledge vectors to the width of an encoder."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

INIT_STD = 0.02


@dataclass(frozen=True, kw_only=True)
class AdaptorConfig(ABC):
    """Settings of a map from knowledge vectors to item vectors."""

    @abstractmethod
    def build(self, in_features: int, out_features: int) -> nn.Module:
        """Return a new map; it takes vectors as the store holds them."""


@dataclass(frozen=True, kw_only=True)
class MixtureAdaptorConfig(AdaptorConfig):
    """Settings of a `MixtureAdaptor`."""

    num_experts: int = 8
    """Parametric whitenings that are mixed."""
    dropout: float = 0.2
    """Share of dropped entries of the knowledge vectors in training."""
    noise: bool = True
    """Whether the gates are noisy in training."""

    @override
    def build(self, in_features: int, out_features: int) -> "MixtureAdaptor":
        return MixtureAdaptor(self, in_features, out_features)


torch.serialization.add_safe_globals([MixtureAdaptorConfig])


class MixtureAdaptor(nn.Module):
    """A mixture of parametric whitenings, that of UniSRec (Hou et al., 2022, arXiv:2206.05941).

    For a vector ``x`` it is ``sum_g s_g(x) (x - b_g) W_g`` with gates ``s = softmax(x V + e)``, e
    normal noise of deviation ``softplus(x U)`` in training. Before training all gates are equal.
    """

    def __init__(self, config: MixtureAdaptorConfig, in_features: int, out_features: int) -> None:
        super().__init__()
        self.drop = nn.Dropout(config.dropout)
        experts = torch.randn(config.num_experts, in_features, out_features) * INIT_STD
        self.experts = nn.Parameter(experts)
        self.means = nn.Parameter(torch.zeros(config.num_experts, in_features))
        self.gates = nn.Parameter(torch.zeros(in_features, config.num_experts))
        self.gate_noise = None
        if config.noise:
            self.gate_noise = nn.Parameter(torch.zeros(in_features, config.num_experts))

    @override
    def forward(self, vectors: Tensor) -> Tensor:
        """Return adapted vectors, shape ``(M, out_features)``, of ``(M, in_features)``."""
        logits = vectors @ self.gates
        if self.training and self.gate_noise is not None:
            deviations = nn.functional.softplus(vectors @ self.gate_noise)
            logits = logits + torch.randn_like(logits) * deviations
        gates = logits.softmax(dim=-1)  # (M, G)
        # Experts are linear: mixed inputs in one product, and the mixed offsets are subtracted.
        offsets = torch.einsum("gi,gio->go", self.means, self.experts)
        wide = self.drop(vectors) @ self.experts.transpose(0, 1).flatten(1)  # (M, G * out)
        mixed = (wide.unflatten(-1, offsets.shape) * gates[..., None]).sum(dim=-2)
        return mixed - gates @ offsets
