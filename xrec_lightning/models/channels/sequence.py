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
    Phrase,
    last_states,
    normalize,
)
from xrec_lightning.models.channels.knowledge import whitened_vectors
from xrec_lightning.models.ridge import ridge_map
from xrec_lightning.models.sequence.base import EncoderConfig
from xrec_lightning.models.sequence.sasrec import SASRecConfig


@dataclass(frozen=True, kw_only=True)
class SequenceChannelConfig(ChannelConfig):
    """Settings of a `SequenceChannel`."""

    encoder: EncoderConfig = field(default_factory=SASRecConfig)
    """The sequence encoder."""
    item_init: Literal["random", "knowledge"] = "random"
    """What the item table holds before training: noise, or the whitened knowledge vectors."""
    init_std: float = 0.02
    """Standard deviation of the item table's entries before training."""
    init_noise: float = 0.0
    """Noise added to knowledge in the item table, relative to ``init_std``: items whose texts are
    the same start apart."""
    cold_keys: Literal["off", "text"] = "off"
    """Key of an item without training event: none, or the one that its text predicts."""
    text_dim: int = 128
    """Width of the whitened knowledge vectors that predict cold keys."""
    text_penalty: float = 10.0
    """Ridge penalty of that prediction."""

    @override
    def build(self, catalog: Catalog) -> "SequenceChannel":
        return SequenceChannel(self, catalog)


torch.serialization.add_safe_globals([SequenceChannelConfig])


class SequenceChannel(Channel):
    """Compare an item's trainable embedding with the encoded history.

    The embedding of an item without a training event was never trained. Such an item has no key,
    or, with ``cold_keys: text``, the key that a ridge regression from text to the trained keys
    predicts for it; a prediction is shorter than 1 by as much as text leaves open.
    """

    name = "sequence"
    phrase = Phrase("often follows", "often follows such a history")
    is_trained: Tensor
    text: Tensor | None
    log_counts: Tensor

    def __init__(self, config: SequenceChannelConfig, catalog: Catalog) -> None:
        super().__init__()
        width = self.width = config.encoder.embed_dim
        self.encoder = config.encoder.build()
        self.item_embedding = nn.Embedding(catalog.num_items + 1, width, padding_idx=0)
        self.domain_embedding = nn.Embedding(len(catalog.domains) + 1, width, padding_idx=0)
        nn.init.normal_(self.item_embedding.weight, std=config.init_std)
        nn.init.zeros_(self.domain_embedding.weight)
        if config.item_init == "knowledge":
            vectors = whitened_vectors(catalog, width) * config.init_std
            has_text = vectors.abs().sum(dim=1) > 0
            noise = config.init_noise * self.item_embedding.weight.data
            self.item_embedding.weight.data[has_text] = (vectors + noise)[has_text]
        self.item_embedding.weight.data[0] = 0.0
        is_trained = (catalog.train_counts > 0).float()[:, None]
        self.register_buffer("is_trained", is_trained, persistent=False)
        self.text_penalty = config.text_penalty
        text = None
        if config.cold_keys == "text":
            text = whitened_vectors(catalog, config.text_dim) / config.text_dim**0.5
        self.register_buffer("text", text, persistent=False)
        self.register_buffer("log_counts", catalog.train_counts.float().log1p(), persistent=False)

    @override
    def queries(self, batch: SequenceBatch) -> Tensor:
        hidden = self._encode(batch.item_ids, batch.domain_ids, batch.times)
        return normalize(last_states(hidden, batch.state_positions))

    @override
    def keys(self) -> Tensor:
        keys = normalize(self.item_embedding.weight) * self.is_trained
        if self.text is None or self.training:  # no cold item is a target or a negative
            return keys
        fitted = (self.log_counts > 0) & (self.text.abs().sum(dim=1) > 0)
        text_to_key = ridge_map(
            self.text[fitted], keys[fitted], self.log_counts[fitted], self.text_penalty
        )
        return torch.where(self.is_trained > 0, keys, self.text @ text_to_key)

    @override
    def contributions(self, batch: SequenceBatch, item_ids: Tensor) -> Tensor:
        # A user's requests in several domains share one history, which is encoded once.
        length = batch.item_ids.size(1)
        parts = [batch.item_ids, batch.domain_ids, batch.times, batch.state_positions]
        rows, inverse = torch.unique(torch.cat(parts, dim=1), dim=0, return_inverse=True)
        history, domains, times, states = rows.split([length, length, length, 1], dim=1)  # (U, L)
        removed = torch.arange(length, device=rows.device)
        keep = torch.stack([removed[removed != position] for position in removed])  # (L, L - 1)
        left = states - (states >= removed).long()  # (U, L)
        shorter = self._encode(*(part[:, keep].flatten(0, 1) for part in (history, domains, times)))
        queries = normalize(last_states(shorter, left.reshape(-1, 1))[:, 0])
        queries = queries.view(len(rows), length, -1)[inverse]  # (B, L, D)
        change = self.queries(batch) - queries * (left >= 0)[inverse][..., None]
        is_cause = (removed <= batch.state_positions)[:, None] & (batch.item_ids > 0)[:, None]
        return self.keys()[item_ids] @ change.transpose(1, 2) * is_cause

    def _encode(self, item_ids: Tensor, domain_ids: Tensor, times: Tensor) -> Tensor:
        if item_ids.size(1) == 0:  # nothing is left of a history of one
            return self.item_embedding.weight.new_zeros(len(item_ids), 1, self.width)
        inputs = self.item_embedding(item_ids) + self.domain_embedding(domain_ids)
        return self.encoder(inputs, times)
