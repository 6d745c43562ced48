"""SASRec, a causal self-attentive encoder (Kang and McAuley, 2018, arXiv:1808.09781)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from xrec_lightning.models.sequence.base import EncoderConfig, SequenceEncoder

INIT_STD = 0.02


@dataclass(frozen=True, kw_only=True)
class SASRecConfig(EncoderConfig):
    """Shape and regularization of a `SASRec` encoder."""

    num_blocks: int = 2
    """Attention blocks."""
    num_heads: int = 2
    """Attention heads of a block; they divide ``embed_dim``."""
    dropout: float = 0.5
    """Share of dropped inputs, attention weights and block outputs in training."""

    @override
    def build(self) -> "SASRec":
        return SASRec(self)


torch.serialization.add_safe_globals([SASRecConfig])


class Block(nn.Module):
    """Pre-normalized causal attention and feed-forward, both residual."""

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        width = config.embed_dim
        self.num_heads = config.num_heads
        self.dropout = config.dropout
        self.attention_norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, 3 * width)
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
    def forward(self, hidden: Tensor) -> Tensor:
        heads = self.projection(self.attention_norm(hidden)).unflatten(-1, (self.num_heads, -1))
        query, key, value = heads.transpose(1, 2).chunk(3, dim=-1)  # (B, H, L, D / H)
        attended = F.scaled_dot_product_attention(
            query, key, value, dropout_p=self.dropout if self.training else 0.0, is_causal=True
        )
        hidden = hidden + self.drop(self.attention_output(attended.transpose(1, 2).flatten(2)))
        wide = self.feed_forward(self.feed_forward_norm(hidden))
        return hidden + self.drop(self.feed_forward_output(wide))


class SASRec(SequenceEncoder):
    """Encode each history into one state per position.

    Differs from the paper: pre-normalization, GELU, a four times wider feed-forward. The blocks
    start as the identity: their output layers are zero, so that an untrained state is the
    normalized last item.

    Shapes: B batch, L history length, D ``config.embed_dim``.
    """

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        self.position_embedding = nn.Embedding(config.max_seq_len + 1, config.embed_dim)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.num_blocks)))
        self.norm = nn.LayerNorm(config.embed_dim)
        self.apply(_initialize)
        nn.init.zeros_(self.position_embedding.weight)

    @override
    def forward(self, inputs: Tensor) -> Tensor:
        # Padding comes last, so causal attention alone hides it from every real position.
        longest = self.position_embedding.num_embeddings
        if inputs.size(1) > longest:
            raise ValueError(
                f"a history of {inputs.size(1)} items is longer than the encoder's {longest - 1}: "
                "set its max_seq_len to that of data.init_args.max_seq_len"
            )
        positions = torch.arange(inputs.size(1), device=inputs.device)
        hidden = self.drop(inputs + self.position_embedding(positions))  # (B, L, D)
        return self.norm(self.blocks(hidden))


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=INIT_STD)
        nn.init.zeros_(module.bias)
    if isinstance(module, Block):  # after its parts: `apply` visits children first
        nn.init.zeros_(module.attention_output.weight)
        nn.init.zeros_(module.feed_forward_output.weight)
