"""The `knowledge` channel: items whose text is near that of the history."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.knowledge.whitening import Whitening
from xrec_lightning.models.channels.base import Channel, ChannelConfig, Phrase, normalize


@dataclass(frozen=True, kw_only=True)
class KnowledgeChannelConfig(ChannelConfig):
    """Settings of a `KnowledgeChannel`."""

    dim: int = 128
    """Width after whitening; the directions of least variance are dropped."""
    max_seq_len: int = 50
    """Longest history, in items."""
    decay: float = 0.7
    """Weight of an interaction relative to the next newer one, before training."""

    @override
    def build(self, catalog: Catalog) -> "KnowledgeChannel":
        return KnowledgeChannel(self, catalog)


torch.serialization.add_safe_globals([KnowledgeChannelConfig])


def whitened_vectors(catalog: Catalog, dim: int) -> Tensor:
    """Return knowledge vectors whitened on the training items, shape ``(N + 1, dim)``.

    Raises:
        ValueError: If the catalog holds no knowledge.
    """
    if catalog.vectors is None:
        raise ValueError(
            "this model needs knowledge vectors: set data.init_args.knowledge to the folder "
            "that `xrec embed` wrote"
        )
    has_text = catalog.vectors.abs().sum(dim=1) > 0
    whitening = Whitening.fit(catalog.vectors[has_text & (catalog.train_counts > 0)], dim)
    return whitening.apply(catalog.vectors)


class KnowledgeChannel(Channel):
    """Compare an item's knowledge vector with a weighted sum of the history's.

    The weights are a learned function of recency and of the pair of domains, positive and, before
    training, a geometric decay: an untrained channel is a text nearest-neighbor recommender.
    """

    name = "knowledge"
    phrase = Phrase("similar in meaning to", "similar in meaning to the history")
    vectors: Tensor

    def __init__(self, config: KnowledgeChannelConfig, catalog: Catalog) -> None:
        super().__init__()
        vectors = normalize(whitened_vectors(catalog, config.dim))
        # Frozen vectors are the knowledge store's: a checkpoint holds its fingerprint instead.
        self.register_buffer("vectors", vectors, persistent=False)
        ages = torch.arange(config.max_seq_len + 1)
        self.log_recency = nn.Parameter(ages * torch.tensor(config.decay).log())
        num_domains = len(catalog.domains)
        self.log_relevance = nn.Parameter(torch.zeros(num_domains + 1, num_domains + 1))

    @override
    def queries(self, batch: SequenceBatch) -> Tensor:
        return normalize(self._weights(batch) @ self.vectors[batch.item_ids])

    @override
    def keys(self) -> Tensor:
        return self.vectors

    @override
    def contributions(self, batch: SequenceBatch, item_ids: Tensor) -> Tensor:
        weights = self._weights(batch)  # (B, 1, L)
        vectors = self.vectors[batch.item_ids]  # (B, L, D)
        length = (weights @ vectors).norm(dim=-1, keepdim=True).clamp_min(1e-12)
        return self.vectors[item_ids] @ vectors.transpose(1, 2) * weights / length

    def _weights(self, batch: SequenceBatch) -> Tensor:
        """Return the weight of each interaction for each target, shape ``(B, P, L)``."""
        positions = torch.arange(batch.item_ids.size(1), device=batch.item_ids.device)
        ages = batch.state_positions[..., None] - positions  # (B, P, L)
        log_weights = self.log_recency[ages.clamp(0, len(self.log_recency) - 1)]
        pairs = (batch.target_domain_ids[..., None], batch.domain_ids[:, None])
        log_weights = log_weights + self.log_relevance[pairs]
        return log_weights.exp() * (ages >= 0)
