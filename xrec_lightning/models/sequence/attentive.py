"""What encoders of softmax attention share: inputs, causal attention, a start as the identity."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from xrec_lightning.models.sequence.base import EncoderConfig, SequenceEncoder
from xrec_lightning.models.sequence.gaps import GapEmbedding
from xrec_lightning.models.sequence.positions import PositionEmbedding, rotate

INIT_STD = 0.02


@dataclass(frozen=True, kw_only=True)
class AttentiveConfig(EncoderConfig, ABC):
    """Shape and regularization of an `AttentiveEncoder`."""

    num_blocks: int = 2
    """Attention blocks."""
    num_heads: int = 2
    """Attention heads of a block; they divide ``embed_dim``."""
    dropout: float = 0.5
    """Share of dropped inputs, attention weights and block outputs in training."""
    positions: Literal["learned", "rotary"] = "learned"
    """How attention knows positions: by an embedding of each one, or by distances alone."""
    time_gaps: bool = False
    """Whether the time since the interaction before is a part of the input."""
    domain_rank: int = 0
    """Rank of what each domain adds to the attention projections of its interactions (LoRA);
    0: nothing."""

    def __post_init__(self) -> None:
        unit = self.num_heads * (2 if self.positions == "rotary" else 1)
        if self.embed_dim % unit != 0:
            raise ValueError(
                f"{type(self).__name__}.embed_dim is {self.embed_dim}: set it to a multiple of "
                f"{unit}, for {self.num_heads} heads and {self.positions} positions"
            )


class Attention(nn.Module):
    """Self-attention of several heads, causal unless a mask says what is seen.

    Shapes: B batch, L history length, D ``config.embed_dim``, H heads.
    """

    def __init__(self, config: AttentiveConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.dropout = config.dropout
        self.is_rotary = config.positions == "rotary"

    @override
    def forward(self, projected: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what each position gathers, shape ``(B, L, D)``.

        Args:
            projected: Queries, keys and values of every head, shape ``(B, L, 3 * D)``.
            mask: True where a position (row) sees another (column), shape ``(B, 1, L, L)``;
                ``None``: it sees itself and all before.
        """
        heads = torch.unflatten(projected, -1, (self.num_heads, -1))
        query, key, value = heads.transpose(1, 2).chunk(3, dim=-1)  # (B, H, L, D / H)
        if self.is_rotary:
            query, key = rotate(query), rotate(key)
        # Padding comes last, so causal attention alone hides it from every real position.
        attended = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=mask is None,
        )
        return attended.transpose(1, 2).flatten(2)


class Block(nn.Module, ABC):
    """Attention and a feed-forward, both residual, each with an output layer."""

    attention_output: nn.Linear
    feed_forward_output: nn.Linear

    @override
    @abstractmethod
    def forward(
        self, hidden: Tensor, domain_ids: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Return the next hidden states, shape ``(B, L, D)``.

        Args:
            hidden: Shape ``(B, L, D)``.
            domain_ids: Domains of the interactions, ``(B, L)``, for weights of their own.
            mask: As for `Attention`.
        """


class AttentiveEncoder(SequenceEncoder):
    """Encode each history by blocks of causal attention.

    The blocks start as the identity: their output layers are zero, so that an untrained state is
    the normalized last item.

    Shapes: B batch, L history length, D ``config.embed_dim``.
    """

    def __init__(self, config: AttentiveConfig, blocks: Iterable[Block]) -> None:
        super().__init__()
        width = config.embed_dim
        self.position_embedding = None
        if config.positions == "learned":
            self.position_embedding = PositionEmbedding(config.max_seq_len, width)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width)
        self.gap_embedding = GapEmbedding(width) if config.time_gaps else None
        self.apply(_initialize)

    @override
    def forward(self, inputs: Tensor, times: Tensor, domain_ids: Tensor | None = None) -> Tensor:
        return self.attend(inputs, times, domain_ids, mask=None)

    def attend(
        self, inputs: Tensor, times: Tensor, domain_ids: Tensor | None, mask: Tensor | None
    ) -> Tensor:
        """Return hidden states as `forward` does; ``mask`` is that of `Attention`."""
        hidden = inputs  # (B, L, D)
        if self.position_embedding is not None:
            hidden = hidden + self.position_embedding(inputs)
        if self.gap_embedding is not None:
            hidden = hidden + self.gap_embedding(times)
        hidden = self.drop(hidden)
        for block in self.blocks:
            hidden = block(hidden, domain_ids, mask)
        return self.norm(hidden)


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=INIT_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, Block):  # after its parts: `apply` visits children first
        nn.init.zeros_(module.attention_output.weight)
        nn.init.zeros_(module.feed_forward_output.weight)
