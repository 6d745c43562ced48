"""A trivial encoder: a weighted mean of the history."""

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.models.sequence.base import EncoderConfig, SequenceEncoder


@dataclass(frozen=True, kw_only=True)
class MeanConfig(EncoderConfig):
    """Weights of a `MeanEncoder`; it reads histories of any length."""

    decay: float = 1.0
    """Weight of an item relative to that of the next one: 1 is the plain mean, 0 the last item."""

    def __post_init__(self) -> None:
        if not 0 <= self.decay <= 1:
            raise ValueError(f"MeanConfig.decay is {self.decay}: set it from 0 to 1")

    @override
    def build(self, num_domains: int = 1) -> "MeanEncoder":
        return MeanEncoder(self)


torch.serialization.add_safe_globals([MeanConfig])


class MeanEncoder(SequenceEncoder):
    """Average each history up to every position; what is trained are the items alone.

    The distance to it is what the order of a history is worth to a larger encoder. With
    ``decay: 0`` it is `LastEncoder`.

    Shapes: B batch, L history length, D width.
    """

    def __init__(self, config: MeanConfig) -> None:
        super().__init__()
        self.decay = config.decay

    @override
    def forward(self, inputs: Tensor, times: Tensor, domain_ids: Tensor | None = None) -> Tensor:
        positions = torch.arange(inputs.size(1), device=inputs.device)
        distances = positions[:, None] - positions
        weights = self.decay ** distances.clamp_min(0).to(inputs.dtype) * (distances >= 0)
        return weights / weights.sum(dim=1, keepdim=True) @ inputs
