"""The fusion scorer: a weighted sum of channel cosines, as one inner product."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.channels.base import Channel, ChannelConfig


class Explanation(NamedTuple):
    """Where scores come from. Shapes: B histories, K items, C channels, L history."""

    channel_names: tuple[str, ...]
    """Names of the channels, in the order of ``channel_scores``."""
    channel_scores: Tensor
    """What each channel adds to the score, shape ``(B, K, C)``."""
    causes: Tensor
    """Position of the history interaction that adds most, -1 where none adds, ``(B, K)``."""


class FusionScorer(nn.Module):
    """Score items by channels: ``sum_c w[c, d] * cos(q_c(u), k_c(j)) / temperature + b_j``.

    Shapes: B histories, P targets, N items, V sum of the channels' widths plus one.
    """

    def __init__(
        self,
        catalog: Catalog,
        channels: Sequence[ChannelConfig],
        temperature: float = 0.07,
        use_bias: bool = True,
    ) -> None:
        super().__init__()
        self.channels = nn.ModuleList(config.build(catalog) for config in channels)
        weights = torch.tensor([config.weight for config in channels])
        # Row 0 belongs to padding: targets that are none.
        self.weights = nn.Parameter(weights.repeat(len(catalog.domains) + 1, 1))  # (domains + 1, C)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))
        self.bias = nn.Parameter(torch.zeros(catalog.num_items + 1), requires_grad=use_bias)

    def user_vectors(self, batch: SequenceBatch) -> Tensor:
        """Return the user side of the inner product, shape ``(B, P, V)``."""
        weights = self.weights[batch.target_domain_ids] * self.log_scale.exp()  # (B, P, C)
        queries = [
            channel.queries(batch) * weights[..., index, None]
            for index, channel in enumerate(self._channels())
        ]
        return torch.cat([*queries, torch.ones_like(queries[0][..., :1])], dim=-1)

    def item_vectors(self) -> Tensor:
        """Return the item side of the inner product, padding first, shape ``(N + 1, V)``."""
        return torch.cat([*(c.keys() for c in self._channels()), self.bias[:, None]], dim=-1)

    def explain(self, batch: SequenceBatch, item_ids: Tensor) -> Explanation:
        """Return the channels and the history interactions behind the scores of items.

        Args:
            batch: Histories with one target domain each.
            item_ids: Items to be explained, shape ``(B, K)``.
        """
        weights = self.weights[batch.target_domain_ids] * self.log_scale.exp()  # (B, 1, C)
        scores, causes = [], torch.zeros(())
        for index, channel in enumerate(self._channels()):
            keys = channel.keys()[item_ids]  # (B, K, D)
            weight = weights[..., index]
            scores.append((keys * channel.queries(batch)).sum(dim=-1) * weight)
            causes = causes + channel.contributions(batch, item_ids) * weight[..., None]
        best = causes.max(dim=-1)
        return Explanation(
            channel_names=tuple(channel.name for channel in self._channels()),
            channel_scores=torch.stack(scores, dim=-1),
            causes=torch.where(best.values > 0, best.indices, -1),
        )

    def _channels(self) -> list[Channel]:
        return [channel for channel in self.channels if isinstance(channel, Channel)]
