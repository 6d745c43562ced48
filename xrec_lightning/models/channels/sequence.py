"""The `sequence` channel: items that follow histories like this one."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.channels.base import (
    Channel,
    ChannelConfig,
    last_states,
    normalize,
    without_position,
)
from xrec_lightning.models.channels.knowledge import whitened_vectors
from xrec_lightning.models.sequence.base import EncoderConfig
from xrec_lightning.models.sequence.sasrec import SASRecConfig


@dataclass(frozen=True, kw_only=True)
class SequenceChannelConfig(ChannelConfig):
    """Settings of a `SequenceChannel`."""

    encoder: EncoderConfig = field(default_factory=SASRecConfig)
    """The sequence encoder."""
    item_init: Literal["random", "knowledge"] = "random"
    """What the item table holds before training: noise, or the whitened knowledge vectors."""
    init_std: float = 0.1
    """Standard deviation of the item table's entries before training."""

    @override
    def build(self, catalog: Catalog) -> "SequenceChannel":
        return SequenceChannel(self, catalog)


torch.serialization.add_safe_globals([SequenceChannelConfig])


class SequenceChannel(Channel):
    """Compare an item's trainable embedding with the encoded history.

    Items without a training event have no key: their embedding was never trained.
    """

    name = "sequence"
    is_trained: Tensor

    def __init__(self, config: SequenceChannelConfig, catalog: Catalog) -> None:
        super().__init__()
        width = config.encoder.embed_dim
        self.encoder = config.encoder.build()
        self.item_embedding = nn.Embedding(catalog.num_items + 1, width, padding_idx=0)
        self.domain_embedding = nn.Embedding(len(catalog.domains) + 1, width, padding_idx=0)
        nn.init.normal_(self.item_embedding.weight, std=config.init_std)
        nn.init.zeros_(self.domain_embedding.weight)
        if config.item_init == "knowledge":
            vectors = whitened_vectors(catalog, width) * config.init_std
            has_text = vectors.abs().sum(dim=1) > 0
            self.item_embedding.weight.data[has_text] = vectors[has_text]
        self.item_embedding.weight.data[0] = 0.0
        is_trained = (catalog.train_counts > 0).float()[:, None]
        self.register_buffer("is_trained", is_trained, persistent=False)

    @override
    def queries(self, batch: SequenceBatch) -> Tensor:
        inputs = self.item_embedding(batch.item_ids) + self.domain_embedding(batch.domain_ids)
        return normalize(last_states(self.encoder(inputs), batch.state_positions))

    @override
    def keys(self) -> Tensor:
        return normalize(self.item_embedding.weight) * self.is_trained

    @override
    def contributions(self, batch: SequenceBatch, item_ids: Tensor) -> Tensor:
        keys = self.keys()[item_ids]  # (B, K, D)
        full = (keys * self.queries(batch)).sum(dim=-1)
        changes = []
        for position in range(batch.item_ids.size(1)):
            shorter = without_position(batch, position)
            if shorter.item_ids.size(1) == 0:
                changes.append(full)
                continue
            score = (keys * self.queries(shorter)).sum(dim=-1)
            is_cause = (position <= batch.state_positions) & (batch.item_ids[:, position] > 0)[
                :, None
            ]
            changes.append((full - score) * is_cause)
        return torch.stack(changes, dim=-1)
