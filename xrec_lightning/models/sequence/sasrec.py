"""SASRec, a causal self-attentive encoder (Kang and McAuley, 2018, arXiv:1808.09781)."""

from dataclasses import dataclass

import torch
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
class SASRecConfig(AttentiveConfig):
    """Shape and regularization of a `SASRec` encoder."""

    @override
    def build(self, num_domains: int = 1) -> "SASRec":
        return SASRec(self, num_domains)


torch.serialization.add_safe_globals([SASRecConfig])


class SASRecBlock(Block):
    """Pre-normalized causal attention and feed-forward, both residual."""

    def __init__(self, config: AttentiveConfig, num_domains: int = 1) -> None:
        super().__init__()
        width = config.embed_dim
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(width)
        self.projection = DomainLinear(width, 3 * width, num_domains, config.domain_rank)
        self.attention_output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Dropout(config.dropout),
        )
        self.feed_forward_output = nn.Linear(4 * width, width)
        self.drop = nn.Dropout(config.dropout)

    @override
    def forward(
        self, hidden: Tensor, domain_ids: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        projected = self.projection(self.attention_norm(hidden), domain_ids)
        attended = self.attention(projected, mask)
        hidden = hidden + self.drop(self.attention_output(attended))
        wide = self.feed_forward(self.feed_forward_norm(hidden))
        return hidden + self.drop(self.feed_forward_output(wide))


class SASRec(AttentiveEncoder):
    """Encode each history into one state per position.

    Differs from the paper: pre-normalization, GELU, a four times wider feed-forward, blocks that
    start as the identity; rotary positions and time gaps are options.
    """

    def __init__(self, config: SASRecConfig, num_domains: int = 1) -> None:
        blocks = (SASRecBlock(config, num_domains) for _ in range(config.num_blocks))
        super().__init__(config, blocks)
