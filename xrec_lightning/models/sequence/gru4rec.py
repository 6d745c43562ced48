"""GRU4Rec, a recurrent encoder (Hidasi et al., 2016, arXiv:1511.06939)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from xrec_lightning.models.sequence.base import EncoderConfig, SequenceEncoder


@dataclass(frozen=True, kw_only=True)
class GRU4RecConfig(EncoderConfig):
    """Shape and regularization of a `GRU4Rec` encoder; it reads histories of any length."""

    num_layers: int = 1
    """Recurrent layers."""
    dropout: float = 0.5
    """Share of dropped inputs and outputs of layers in training."""

    @override
    def build(self, num_domains: int = 1) -> "GRU4Rec":
        return GRU4Rec(self)


torch.serialization.add_safe_globals([GRU4RecConfig])


class GRU4Rec(SequenceEncoder):
    """Encode each history into one state per position.

    Differs from the paper: the layers' output is added to the input and normalized, and nothing is
    added before training, so that an untrained state is the normalized last item.

    Shapes: B batch, L history length, D ``config.embed_dim``.
    """

    def __init__(self, config: GRU4RecConfig) -> None:
        super().__init__()
        width = config.embed_dim
        between = config.dropout if config.num_layers > 1 else 0.0
        self.drop = nn.Dropout(config.dropout)
        self.layers = nn.GRU(width, width, config.num_layers, batch_first=True, dropout=between)
        self.output = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    @override
    def forward(self, inputs: Tensor, times: Tensor, domain_ids: Tensor | None = None) -> Tensor:
        inputs = self.drop(inputs)
        hidden, _ = self.layers(inputs)  # (B, L, D)
        return self.norm(inputs + self.drop(self.output(hidden)))
