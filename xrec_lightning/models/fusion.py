"""The fusion scorer: a weighted sum of channel cosines, as one inner product."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.buckets import BUCKET_STARTS
from xrec_lightning.models.channels.base import Channel, ChannelConfig, Phrase


class Explanation(NamedTuple):
    """Where scores come from. Shapes: B histories, K items, C channels, L history."""

    channel_names: tuple[str, ...]
    """Names of the channels, in the order of ``channel_scores``."""
    phrases: tuple[Phrase, ...]
    """How each channel explains itself to people."""
    channel_scores: Tensor
    """What each channel adds to the score, shape ``(B, K, C)``."""
    causes: Tensor
    """Position of the interaction that adds most to each channel, -1: none does, ``(B, K, C)``."""


class FusionScorer(nn.Module):
    """Score items by ``sum_c w[c, d] * g[c, p(j)] * cos(q_c(u), k_c(j)) / t_c + b_j + o_d``.

    Every channel has its own temperature ``t_c`` and is trained by its own softmax; the weights by
    domain are no parameters but fitted on targets that no channel was trained on (`set_weights`).
    Trained together, the channel that remembers the training transitions would silence the rest.
    The factors ``g`` by the item's popularity bucket (cold, tail, mid, head) are 1 unless fitted.
    The offset ``o_d`` is that of items without training event, which could not learn a bias.

    Shapes: B histories, P targets, C channels, N items, V sum of the channels' widths plus two.

    Args:
        catalog: What the data knows.
        channels: Settings of the channels.
        temperature: Temperature of each channel's cosine before training.
        popularity_prior: The bias of an item before training, for each unit of the logarithm of
            its training events plus one.

    Raises:
        ValueError: If there is no channel or the first one has no positive weight.
    """

    weights: Tensor
    cold_offsets: Tensor
    bucket_factors: Tensor
    buckets: Tensor
    is_cold: Tensor

    def __init__(
        self,
        catalog: Catalog,
        channels: Sequence[ChannelConfig],
        temperature: float = 0.07,
        popularity_prior: float = 0.0,
    ) -> None:
        super().__init__()
        if not channels or channels[0].weight <= 0:
            raise ValueError(
                "model.init_args.channels: the first channel needs a weight above 0, the others "
                "are weighed against it"
            )
        self.channels = nn.ModuleList(config.build(catalog) for config in channels)
        self.log_scales = nn.Parameter(torch.full((len(channels),), -math.log(temperature)))
        self.bias = nn.Parameter(popularity_prior * catalog.train_counts.float().log1p())
        weights = torch.tensor([config.weight for config in channels])
        # Row 0 belongs to padding: targets that are none.
        self.register_buffer("weights", weights.repeat(len(catalog.domains) + 1, 1))
        self.register_buffer("cold_offsets", torch.zeros(len(catalog.domains) + 1))
        self.register_buffer("bucket_factors", torch.ones(len(channels), len(BUCKET_STARTS)))
        starts = torch.tensor(BUCKET_STARTS, device=catalog.train_counts.device)
        buckets = torch.bucketize(catalog.train_counts, starts, right=True) - 1
        self.register_buffer("buckets", buckets, persistent=False)
        is_cold = catalog.train_counts == 0
        is_cold[0] = False
        self.register_buffer("is_cold", is_cold, persistent=False)

    def channel_list(self) -> list[Channel]:
        """Return the channels, in the order of the weights."""
        return [channel for channel in self.channels if isinstance(channel, Channel)]

    def set_weights(self, domain: int, weights: Tensor) -> None:
        """Set the weights of the channels in one domain, shape ``(C,)``."""
        self.weights[domain] = weights

    def user_vectors(self, batch: SequenceBatch) -> Tensor:
        """Return the user side of the inner product, shape ``(B, P, V)``."""
        scales = self.weights[batch.target_domain_ids] * self.log_scales.exp()  # (B, P, C)
        queries = [
            channel.queries(batch) * scales[..., index, None]
            for index, channel in enumerate(self.channel_list())
        ]
        offsets = self.cold_offsets[batch.target_domain_ids][..., None]
        return torch.cat([*queries, torch.ones_like(offsets), offsets], dim=-1)

    def item_vectors(self) -> Tensor:
        """Return the item side of the inner product, padding first, shape ``(N + 1, V)``."""
        factors = self.bucket_factors[:, self.buckets]  # (C, N + 1)
        channels = enumerate(self.channel_list())
        keys = torch.cat(
            [channel.keys() * factors[index, :, None] for index, channel in channels], dim=-1
        )
        # A cold item of which no channel knows anything is not raised.
        is_raised = self.is_cold & (keys.abs().sum(dim=-1) > 0)
        return torch.cat([keys, self.bias[:, None], is_raised[:, None].float()], dim=-1)

    def parts(self, batch: SequenceBatch, keys: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return what weights and bucket factors multiply, C tensors of shape ``(B, K)``.

        Args:
            batch: Histories with one target domain each.
            keys: Each channel's keys of the K items that are scored, C of shape ``(K, D)``.
        """
        scales = self.log_scales.exp()
        return tuple(
            channel.queries(batch)[:, 0] @ own.T * scales[index]
            for index, (channel, own) in enumerate(zip(self.channel_list(), keys, strict=True))
        )

    def explain(self, batch: SequenceBatch, item_ids: Tensor) -> Explanation:
        """Return the channels and the history interactions behind the scores of items.

        Args:
            batch: Histories with one target domain each.
            item_ids: Items to be explained, shape ``(B, K)``.
        """
        weights = self.weights[batch.target_domain_ids] * self.log_scales.exp()  # (B, 1, C)
        scores, causes = [], []
        factors = self.bucket_factors[:, self.buckets[item_ids]]  # (C, B, K)
        for index, channel in enumerate(self.channel_list()):
            keys = channel.keys()[item_ids]  # (B, K, D)
            cosines = (keys * channel.queries(batch)).sum(dim=-1)
            scores.append(cosines * weights[..., index] * factors[index])
            best = channel.contributions(batch, item_ids).max(dim=-1)
            causes.append(torch.where(best.values > 0, best.indices, -1))
        return Explanation(
            channel_names=tuple(channel.name for channel in self.channel_list()),
            phrases=tuple(channel.phrase for channel in self.channel_list()),
            channel_scores=torch.stack(scores, dim=-1),
            causes=torch.stack(causes, dim=-1),
        )
