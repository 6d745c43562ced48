"""BERT4Rec, a bidirectional encoder of masked items (Sun et al., 2019, arXiv:1904.06690)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from xrec_lightning.models.sequence.attentive import AttentiveConfig, AttentiveEncoder
from xrec_lightning.models.sequence.base import History, Requests
from xrec_lightning.models.sequence.masked import MaskedEncoder
from xrec_lightning.models.sequence.positions import PositionEmbedding
from xrec_lightning.models.sequence.sasrec import SASRecBlock

INIT_STD = 0.02


@dataclass(frozen=True, kw_only=True)
class BERT4RecConfig(AttentiveConfig):
    """Shape and regularization of a `BERT4Rec` encoder."""

    mask_share: float = 0.3
    """Share of a history's items that are hidden in training; the paper takes 0.2 to 0.6."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.mask_share <= 1:
            raise ValueError(
                f"BERT4RecConfig.mask_share is {self.mask_share}: set it above 0, at most 1"
            )
        if self.time_gaps:
            raise ValueError(
                "BERT4RecConfig.time_gaps: the time of a masked item is not known when it is "
                "predicted; leave it out"
            )

    @override
    def build(self, num_domains: int = 1) -> "BERT4Rec":
        return BERT4Rec(self, num_domains)


torch.serialization.add_safe_globals([BERT4RecConfig])


class BERT4Rec(AttentiveEncoder, MaskedEncoder):
    """Restore hidden items in training; predict the next one from a mask after the last one.

    In training a state sees what is earlier, later and at the same time, but hidden items nowhere;
    in evaluation what is strictly earlier, as with every encoder. Differs from the paper:
    pre-normalized blocks that start as the identity, and no layer over the states.

    Shapes: B batch, L history length, P targets, D ``config.embed_dim``.
    """

    def __init__(self, config: BERT4RecConfig, num_domains: int = 1) -> None:
        blocks = (SASRecBlock(config, num_domains) for _ in range(config.num_blocks))
        super().__init__(config, blocks)
        self.mask_share = config.mask_share
        self.mask_vector = nn.Parameter(torch.randn(config.embed_dim) * INIT_STD)
        if self.position_embedding is not None:  # a window of training and the mask after it
            self.position_embedding = PositionEmbedding(config.max_seq_len + 1, config.embed_dim)

    @override
    def restore(self, history: History, is_hidden: Tensor) -> Tensor:
        inputs = torch.where(is_hidden[..., None], self.mask_vector, history.inputs)
        domain_ids = history.domain_ids.masked_fill(is_hidden, 0)
        is_real = history.domain_ids > 0
        # Padding sees itself: a row of attention weights must not be empty.
        itself = torch.eye(inputs.size(1), dtype=torch.bool, device=inputs.device)
        return self.attend(inputs, history.times, domain_ids, (is_real[:, None] | itself)[:, None])

    @override
    def forward(self, inputs: Tensor, times: Tensor, domain_ids: Tensor | None = None) -> Tensor:
        domain_ids = torch.zeros_like(times) if domain_ids is None else domain_ids
        positions = torch.arange(inputs.size(1), device=inputs.device).expand(len(inputs), -1)
        requests = Requests(positions, torch.zeros_like(positions))
        return self.states(History(inputs, times, domain_ids), requests)

    @override
    def states(self, history: History, requests: Requests) -> Tensor:
        """Return the state of a mask after each position, as if nothing came after it."""
        count = requests.positions.size(1)
        length = history.inputs.size(1) + 1
        padded = F.pad(history.inputs, (0, 0, 0, 1)).repeat_interleave(count, dim=0)
        times, domain_ids = (
            F.pad(part, (0, 1)).repeat_interleave(count, dim=0) for part in history[1:]
        )
        masked = requests.positions.flatten()[:, None] + 1  # (B * P, 1)
        places = torch.arange(length, device=masked.device)
        inputs = torch.where((places == masked)[..., None], self.mask_vector, padded)
        domain_ids = domain_ids * (places < masked)
        is_seen = (places <= masked)[:, None, None].expand(-1, -1, length, -1)
        hidden = self.attend(inputs, times, domain_ids, is_seen)
        index = masked[..., None].expand(-1, -1, hidden.size(-1))
        states = hidden.gather(1, index).view(*requests.positions.shape, -1)
        return states * (requests.positions >= 0)[..., None]
