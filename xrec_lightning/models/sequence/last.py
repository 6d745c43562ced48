"""The most trivial encoder: the last item of the history."""

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.models.sequence.base import EncoderConfig, SequenceEncoder


@dataclass(frozen=True, kw_only=True)
class LastConfig(EncoderConfig):
    """Width of a `LastEncoder`; it reads histories of any length."""

    @override
    def build(self, num_domains: int = 1) -> "LastEncoder":
        return LastEncoder()


torch.serialization.add_safe_globals([LastConfig])


class LastEncoder(SequenceEncoder):
    """Return each item as it is; what is trained are the items alone.

    The distance to it is what anything but the last item is worth to a larger encoder. It is the
    factorized first-order transition of FPMC (Rendle et al., 2010), less the user's own term and
    with one table for both sides.
    """

    @override
    def forward(self, inputs: Tensor, times: Tensor, domain_ids: Tensor | None = None) -> Tensor:
        return inputs
