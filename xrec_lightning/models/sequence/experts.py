"""Weights of their own for domains: low-rank additions to a shared layer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override


class DomainLinear(nn.Linear):
    """A linear layer to which every domain adds a matrix of low rank, zero before training.

    For an input ``x`` of domain ``d`` it is ``W x + b + B_d A_d x``: LoRA (Hu et al., 2021,
    arXiv:2106.09685) with one expert a domain, trained together with ``W``. What is of no domain
    passes through ``W`` alone. Shapes: D domains, R rank.

    Args:
        in_features: Width of the inputs.
        out_features: Width of the outputs.
        num_domains: Domains, counted from 1.
        rank: Rank of each domain's addition; 0: there is none, and this is a plain layer.
    """

    def __init__(self, in_features: int, out_features: int, num_domains: int, rank: int) -> None:
        super().__init__(in_features, out_features)
        self.num_domains = num_domains
        self.down: nn.Parameter | None = None
        self.up: nn.Parameter | None = None
        if rank > 0:
            down = torch.randn(num_domains * rank, in_features) / in_features**0.5
            self.down = nn.Parameter(down)
            self.up = nn.Parameter(torch.zeros(out_features, num_domains * rank))

    @override
    def forward(self, input: Tensor, domain_ids: Tensor | None = None) -> Tensor:
        """Return the outputs, shape ``(..., out_features)``.

        Args:
            input: Shape ``(..., in_features)``.
            domain_ids: Domain of each input, 0: none, shape ``(...)``; ``None``: none has one.
        """
        shared = super().forward(input)
        if self.down is None or self.up is None or domain_ids is None:
            return shared
        # One product for all domains, of which each input keeps its own: faster than a gather.
        domains = torch.arange(1, self.num_domains + 1, device=domain_ids.device)
        is_own = (domain_ids[..., None] == domains)[..., None]  # (..., D, 1)
        low = torch.unflatten(F.linear(input, self.down), -1, (self.num_domains, -1)) * is_own
        return shared + F.linear(low.flatten(-2), self.up)
