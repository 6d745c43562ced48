"""The `sequence` channel: items that follow histories like this one."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.channels.base import Channel, ChannelConfig, Phrase, normalize
from xrec_lightning.models.channels.item_table import ItemTable, ItemTableConfig
from xrec_lightning.models.channels.knowledge import whitened_vectors
from xrec_lightning.models.ridge import ridge_map
from xrec_lightning.models.sequence.base import EncoderConfig, History, Requests
from xrec_lightning.models.sequence.masked import MaskedEncoder, hidden_targets, hide_targets
from xrec_lightning.models.sequence.sasrec import SASRecConfig

_GROUP = 64
"""Histories of about equal length that are encoded together in evaluation, to save padding."""


@dataclass(frozen=True, kw_only=True)
class SequenceChannelConfig(ItemTableConfig, ChannelConfig):
    """Settings of a `SequenceChannel`."""

    encoder: EncoderConfig = field(default_factory=SASRecConfig)
    """The sequence encoder."""
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
    """Compare an item's vector with the encoded history.

    The row of an item without a training event was never trained. Where keys are rows alone, such
    an item has no key, or, with ``cold_keys: text``, the key that a ridge regression from text to
    the trained keys predicts for it; a prediction is shorter than 1 by as much as text leaves open.
    Where keys hold knowledge, its knowledge is its key.
    """

    name = "sequence"
    phrase = Phrase("often follows", "often follows such a history")
    is_trained: Tensor
    text: Tensor | None
    log_counts: Tensor

    def __init__(self, config: SequenceChannelConfig, catalog: Catalog) -> None:
        super().__init__()
        width = self.width = config.encoder.embed_dim
        self.encoder = config.encoder.build(len(catalog.domains))
        self.item_embedding = ItemTable(config, catalog, width)
        self.domain_embedding = nn.Embedding(len(catalog.domains) + 1, width, padding_idx=0)
        nn.init.zeros_(self.domain_embedding.weight)
        self.item_embedding.fill(catalog)  # after the domains: seeds keep their meaning
        is_trained = (catalog.train_counts > 0).float()[:, None]
        self.register_buffer("is_trained", is_trained, persistent=False)
        self.is_key_trained = config.kinds[1] == "id"
        self.text_penalty = config.text_penalty
        text = None
        if config.cold_keys == "text":
            if not self.is_key_trained:
                raise ValueError(
                    "SequenceChannelConfig.cold_keys is text: keys that hold knowledge have no "
                    "need of it; leave it out, or set item_key to id"
                )
            text = whitened_vectors(catalog, config.text_dim) / config.text_dim**0.5
        self.register_buffer("text", text, persistent=False)
        self.register_buffer("log_counts", catalog.train_counts.float().log1p(), persistent=False)

    @override
    def prepare(self, batch: SequenceBatch) -> SequenceBatch:
        if isinstance(self.encoder, MaskedEncoder):
            return hide_targets(batch, self.encoder.mask_share)
        return batch

    @override
    def queries(self, batch: SequenceBatch) -> Tensor:
        if self.training and isinstance(self.encoder, MaskedEncoder):
            is_hidden = hidden_targets(batch)
            if is_hidden is not None:
                history = self._history(batch.item_ids, batch.domain_ids, batch.times)
                return normalize(self.encoder.restore(history, is_hidden))
        items, domains, times = batch.item_ids, batch.domain_ids, batch.times
        states, asked = batch.state_positions, batch.target_domain_ids
        if self.training:  # windows of a batch are about equally long already
            return self._encode(items, domains, times, Requests(states, asked))
        lengths = states.amax(dim=1) + 1
        order = lengths.argsort()
        queries = []
        for rows in torch.split(order, _GROUP):
            end = max(1, int(lengths[rows[-1]]))
            shorter = [part[rows, :end] for part in (items, domains, times)]
            requests = Requests(states[rows], asked[rows])
            queries.append(self._encode(shorter[0], shorter[1], shorter[2], requests))
        return torch.cat(queries)[order.argsort()]

    @override
    def keys(self) -> Tensor:
        keys = normalize(self.item_embedding.keys())
        if not self.is_key_trained:
            return keys
        keys = keys * self.is_trained
        if self.text is None or self.training:  # no cold item is a target or a negative
            return keys
        fitted = (self.log_counts > 0) & (self.text.abs().sum(dim=1) > 0)
        text_to_key = ridge_map(
            self.text[fitted], keys[fitted], self.log_counts[fitted], self.text_penalty
        )
        return torch.where(self.is_trained > 0, keys, self.text @ text_to_key)

    @override
    def contributions(self, batch: SequenceBatch, item_ids: Tensor) -> Tensor:
        # A user's requests in several domains share one history, which is encoded once, unless the
        # encoder asks for the domain.
        length = batch.item_ids.size(1)
        asked = batch.target_domain_ids * self.encoder.reads_target_domain
        parts = [batch.item_ids, batch.domain_ids, batch.times, batch.state_positions, asked]
        rows, inverse = torch.unique(torch.cat(parts, dim=1), dim=0, return_inverse=True)
        history, domains, times, states, asked = rows.split([length] * 3 + [1, 1], dim=1)
        removed = torch.arange(length, device=rows.device)
        keep = torch.stack([removed[removed != position] for position in removed])  # (L, L - 1)
        left = states - (states >= removed).long()  # (U, L)
        parts = [part[:, keep].flatten(0, 1) for part in (history, domains, times)]
        requests = Requests(left.reshape(-1, 1), asked.repeat_interleave(length, dim=0))
        shorter = self._encode(parts[0], parts[1], parts[2], requests)
        queries = shorter.view(len(rows), length, -1)[inverse]  # (B, L, D)
        change = self.queries(batch) - queries * (left >= 0)[inverse][..., None]
        is_cause = (removed <= batch.state_positions)[:, None] & (batch.item_ids > 0)[:, None]
        return self.keys()[item_ids] @ change.transpose(1, 2) * is_cause

    def _encode(
        self, item_ids: Tensor, domain_ids: Tensor, times: Tensor, requests: Requests
    ) -> Tensor:
        """Return the queries of ``requests``, shape ``(B, P, D)``."""
        if item_ids.size(1) == 0:  # nothing is left of a history of one
            return self.domain_embedding.weight.new_zeros(*requests.positions.shape, self.width)
        history = self._history(item_ids, domain_ids, times)
        return normalize(self.encoder.states(history, requests))

    def _history(self, item_ids: Tensor, domain_ids: Tensor, times: Tensor) -> History:
        inputs = self.item_embedding(item_ids) + self.domain_embedding(domain_ids)
        return History(inputs, times, domain_ids)
