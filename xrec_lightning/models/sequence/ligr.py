"""LiGR, attention blocks with gated residuals (Borisyuk et al., 2025, arXiv:2502.03417).

The sequence encoder of eSASRec (2025, arXiv:2508.06450) is made of them.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from xrec_lightning.models.sequence.attentive import (
    Attention,
    AttentiveConfig,
    AttentiveEncoder,
    Block,
)
from xrec_lightning.models.sequence.experts import DomainLinear


@dataclass(frozen=True, kw_only=True)
class LiGRConfig(AttentiveConfig):
    """Shape and regularization of a `LiGR` encoder."""

    @override
    def build(self, num_domains: int = 1) -> "LiGR":
        return LiGR(self, num_domains)


torch.serialization.add_safe_globals([LiGRConfig])


class LiGRBlock(Block):
    """Pre-normalized causal attention and SwiGLU; a sigmoid of the input gates what each adds."""

    def __init__(self, config: LiGRConfig, num_domains: int = 1) -> None:
        super().__init__()
        width = config.embed_dim
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(width)
        self.projection = DomainLinear(width, 3 * width, num_domains, config.domain_rank)
        self.attention_output = nn.Linear(width, width)
        self.attention_gate = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Linear(width, 8 * width)
        self.feed_forward_output = nn.Linear(4 * width, width)
        self.feed_forward_gate = nn.Linear(width, width)
        self.drop = nn.Dropout(config.dropout)

    @override
    def forward(
        self, hidden: Tensor, domain_ids: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        projected = self.projection(self.attention_norm(hidden), domain_ids)
        attended = self.attention(projected, mask)
        added = self.drop(self.attention_output(attended))
        hidden = hidden + added * self.attention_gate(hidden).sigmoid()
        switch, value = self.feed_forward(self.feed_forward_norm(hidden)).chunk(2, dim=-1)
        added = self.drop(self.feed_forward_output(self.drop(F.silu(switch) * value)))
        return hidden + added * self.feed_forward_gate(hidden).sigmoid()


class LiGR(AttentiveEncoder):
    """Encode each history into one state per position.

    Differs from the paper, which encodes sessions of candidates: causal over one history, as in
    eSASRec; blocks that start as the identity; rotary positions and time gaps are options.
    """

    def __init__(self, config: LiGRConfig, num_domains: int = 1) -> None:
        blocks = (LiGRBlock(config, num_domains) for _ in range(config.num_blocks))
        super().__init__(config, blocks)
