"""What the linear channels share: a query that is a weighted sum of the history's vectors."""

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.channels.base import Channel, ChannelConfig, normalize


@dataclass(frozen=True, kw_only=True)
class LinearChannelConfig(ChannelConfig):
    """Settings of a `LinearChannel`."""

    max_seq_len: int = 50
    """Longest history, in items."""
    decay: float = 0.7
    """Weight of an interaction relative to the next newer one, before training."""

    def __post_init__(self) -> None:
        if not self.decay > 0:
            raise ValueError(
                f"{type(self).__name__}.decay is {self.decay}: set it above 0; the smaller, the "
                "more the newest interaction counts"
            )


@dataclass(frozen=True, kw_only=True)
class MemoryChannelConfig(LinearChannelConfig):
    """Settings of a linear channel whose vectors were computed from the training events.

    To such a channel every training target is one that it has counted already. What is trained on
    these targets learns to trust that memory, which is of no use on targets to come: training
    loss falls and validation stands still. So the decay stays as it is set, and only the weight
    of the channel is fitted, on validation targets.
    """

    is_trainable: bool = False
    """Whether the weights of recency and domains are trained all the same."""


class LinearChannel(Channel):
    """Compare an item's vector with a weighted sum of the history's.

    The weights are a function of recency and of the pair of domains, positive and, before
    training, a geometric decay.

    Args:
        config: Settings.
        catalog: What the data knows.
        vectors: Vector of every item, as part of a history and, unless `keys` says otherwise, as a
            key; of length 1 or 0, shape ``(N + 1, D)``.
        is_trainable: Whether the function is trained.
    """

    vectors: Tensor
    log_recency: Tensor
    log_relevance: Tensor

    def __init__(
        self,
        config: LinearChannelConfig,
        catalog: Catalog,
        vectors: Tensor,
        *,
        is_trainable: bool = True,
    ) -> None:
        super().__init__()
        self.trains = is_trainable
        # Vectors follow from the data: a checkpoint holds the fingerprint of the catalog instead.
        self.register_buffer("vectors", vectors, persistent=False)
        ages = torch.arange(config.max_seq_len + 1)
        num_domains = len(catalog.domains)
        self.hold("log_recency", ages * torch.tensor(config.decay).log())
        self.hold("log_relevance", torch.zeros(num_domains + 1, num_domains + 1))

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
        return self.keys()[item_ids] @ vectors.transpose(1, 2) * weights / length

    def _weights(self, batch: SequenceBatch) -> Tensor:
        """Return the weight of each interaction for each target, shape ``(B, P, L)``."""
        positions = torch.arange(batch.item_ids.size(1), device=batch.item_ids.device)
        ages = batch.state_positions[..., None] - positions  # (B, P, L)
        log_weights = self.log_recency[ages.clamp(0, len(self.log_recency) - 1)]
        pairs = (batch.target_domain_ids[..., None], batch.domain_ids[:, None])
        log_weights = log_weights + self.log_relevance[pairs]
        return log_weights.exp() * (ages >= 0)
