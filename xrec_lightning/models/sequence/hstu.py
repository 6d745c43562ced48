"""HSTU, gated pointwise attention with time (Zhai et al., 2024, arXiv:2402.17152)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from xrec_lightning.models.sequence.base import EncoderConfig, SequenceEncoder
from xrec_lightning.models.sequence.gaps import NUM_BUCKETS, time_buckets
from xrec_lightning.models.sequence.positions import check_length

INIT_STD = 0.02


@dataclass(frozen=True, kw_only=True)
class HSTUConfig(EncoderConfig):
    """Shape and regularization of an `HSTU` encoder."""

    num_blocks: int = 2
    """Attention blocks."""
    num_heads: int = 2
    """Attention heads of a block; they divide ``embed_dim``."""
    dropout: float = 0.5
    """Share of dropped inputs and block outputs in training."""
    time_bias: bool = True
    """Whether attention knows the time between two interactions besides their distance."""

    def __post_init__(self) -> None:
        if self.embed_dim % self.num_heads != 0:
            raise ValueError(
                f"HSTUConfig.embed_dim is {self.embed_dim}: set it to a multiple of num_heads, "
                f"{self.num_heads}"
            )

    @override
    def build(self, num_domains: int = 1) -> "HSTU":
        return HSTU(self)


torch.serialization.add_safe_globals([HSTUConfig])


class HSTUBlock(nn.Module):
    """Attention by SiLU instead of softmax, normalized and gated; residual.

    Without a softmax there is no call of torch for it: the weights, ``(B, H, L, L)``, are made.
    """

    def __init__(self, config: HSTUConfig) -> None:
        super().__init__()
        width = config.embed_dim
        self.num_heads = config.num_heads
        self.longest = config.max_seq_len + 1
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, 4 * width, bias=False)
        self.position_bias = nn.Parameter(torch.zeros(self.longest))
        self.time_bias = nn.Parameter(torch.zeros(NUM_BUCKETS)) if config.time_bias else None
        self.attended_norm = nn.LayerNorm(width)
        self.drop = nn.Dropout(config.dropout)
        self.output = nn.Linear(width, width)
        nn.init.normal_(self.projection.weight, std=INIT_STD)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    @override
    def forward(self, hidden: Tensor, distances: Tensor, buckets: Tensor) -> Tensor:
        """Return the next hidden states, shape ``(B, L, D)``.

        Args:
            hidden: Shape ``(B, L, D)``.
            distances: From each position back to another, negative where it is later, ``(L, L)``.
            buckets: `time_buckets` of the time between them, shape ``(B, L, L)``.
        """
        gate, *parts = F.silu(self.projection(self.norm(hidden))).chunk(4, dim=-1)
        heads = [part.view(*part.shape[:2], self.num_heads, -1) for part in parts]
        query, key, value = (head.transpose(1, 2) for head in heads)  # (B, H, L, D / H)
        bias = self.position_bias[distances.clamp_min(0)]
        if self.time_bias is not None:
            bias = bias + self.time_bias[buckets][:, None]  # (B, 1, L, L)
        weights = F.silu(query @ key.transpose(-1, -2) + bias) * (distances >= 0) / self.longest
        attended = (weights @ value).transpose(1, 2).flatten(2)
        return hidden + self.output(self.drop(self.attended_norm(attended) * gate))


class HSTU(SequenceEncoder):
    """Encode each history into one state per position.

    Differs from the authors' code: no absolute positions; times count back from the state's own
    interaction, since that of the target is not known when it is predicted; buckets of time by
    powers of two; blocks that start as the identity, and a final normalization.

    Shapes: B batch, L history length, D ``config.embed_dim``, H heads.
    """

    def __init__(self, config: HSTUConfig) -> None:
        super().__init__()
        self.longest = config.max_seq_len + 1
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(HSTUBlock(config) for _ in range(config.num_blocks))
        self.norm = nn.LayerNorm(config.embed_dim)

    @override
    def forward(self, inputs: Tensor, times: Tensor, domain_ids: Tensor | None = None) -> Tensor:
        check_length(inputs.size(1), self.longest)
        positions = torch.arange(inputs.size(1), device=inputs.device)
        distances = positions[:, None] - positions
        buckets = time_buckets(times[:, :, None] - times[:, None, :])
        hidden = self.drop(inputs)
        for block in self.blocks:
            hidden = block(hidden, distances, buckets)
        return self.norm(hidden)
