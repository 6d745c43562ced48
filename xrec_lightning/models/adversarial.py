"""Gradient reversal: vectors that do not tell the domain of a text."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from typing_extensions import override


@dataclass(frozen=True, kw_only=True)
class AdversaryConfig:
    """Settings of a `DomainAdversary`."""

    strength: float = 1.0
    """Factor of the reversed gradient at the end of the run, the paper's lambda."""
    steepness: float = 10.0
    """How fast it rises from 0, the paper's gamma; with 10, half the way after 11 % of the run."""
    hidden_dim: int = 128
    """Width of the discriminator's hidden layer."""

    def build(self, dim: int, num_domains: int) -> "DomainAdversary":
        """Return the adversary over vectors of width ``dim``.

        Raises:
            ValueError: If there is nothing to tell apart.
        """
        if num_domains < 2:
            raise ValueError(
                f"domain_adversary: the data have {num_domains} domain, so there is nothing to "
                "tell apart; leave it out"
            )
        return DomainAdversary(self, dim, num_domains)


torch.serialization.add_safe_globals([AdversaryConfig])


class DomainAdversary(nn.Module):
    """Tell the domain of a vector, and teach whoever made it to hide that.

    Domain-adversarial training (Ganin et al., 2016, arXiv:1505.07818): the discriminator follows
    its gradient, what is before it the reversed one. Unlike there every domain of a batch counts
    alike, however many its rows. Shapes: B vectors, D width.
    """

    def __init__(self, config: AdversaryConfig, dim: int, num_domains: int) -> None:
        super().__init__()
        self.config = config
        self.current = 0.0
        """Factor of the reversed gradient now."""
        self.discriminator = nn.Sequential(
            nn.Linear(dim, config.hidden_dim), nn.ReLU(), nn.Linear(config.hidden_dim, num_domains)
        )

    def follow(self, progress: float) -> None:
        """Set the strength for the share of the run that is done."""
        rise = 2.0 / (1.0 + math.exp(-self.config.steepness * progress)) - 1.0
        self.current = self.config.strength * rise

    @override
    def forward(self, vectors: Tensor, domain_ids: Tensor) -> Tensor:
        """Return the discriminator's loss, 0 for a batch of no known domain, shape ``()``.

        Args:
            vectors: Shape ``(B, D)``.
            domain_ids: From 1; 0 where the domain is unknown, shape ``(B,)``.
        """
        unit = functional.normalize(vectors, dim=1) * math.sqrt(vectors.size(1))
        logits = self.discriminator(reverse_gradient(unit, self.current))
        counts = torch.bincount(domain_ids, minlength=logits.size(1) + 1)
        counts[0] = 0
        weights = (1.0 / counts.clamp_min(1)) * (counts > 0) / (counts > 0).sum().clamp_min(1)
        labels = (domain_ids - 1).clamp_min(0)
        losses = functional.cross_entropy(logits, labels, reduction="none")
        return (losses * weights[domain_ids]).sum()


def reverse_gradient(values: Tensor, strength: float) -> Tensor:
    """Return ``values``; their gradient is that of the result times ``-strength``.

    Example:
        >>> values = torch.ones(2, requires_grad=True)
        >>> reverse_gradient(values, 0.5).sum().backward()
        >>> values.grad
        tensor([-0.5000, -0.5000])
    """
    return _Reversal.apply(values, strength)  # type: ignore[no-untyped-call]  # torch's


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return values.view_as(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradient, None
