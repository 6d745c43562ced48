"""Encoders that are trained to restore hidden items, and the targets that this makes."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from xrec_lightning.batches import SequenceBatch
from xrec_lightning.models.sequence.base import History, SequenceEncoder


class MaskedEncoder(SequenceEncoder, ABC):
    """An encoder that sees both sides of a hidden item in training."""

    mask_share: float
    """Share of a history's items that are hidden in training."""

    @abstractmethod
    def restore(self, history: History, is_hidden: Tensor) -> Tensor:
        """Return states that know nothing of the hidden items themselves, shape ``(B, L, D)``.

        Args:
            history: What is encoded; L long.
            is_hidden: Whether an item is hidden, shape ``(B, L)``.
        """


def hide_targets(batch: SequenceBatch, share: float) -> SequenceBatch:
    """Return the batch with a random share of the history's items as its targets, P = L.

    Every history has one at least. Only items of domains that had targets are hidden. The history
    keeps them: whoever encodes it must hide them, or see no further than ``state_positions``, the
    last interaction that is strictly earlier. Targets that were targets keep their weights, others
    have the mean of those.
    """
    is_eligible = (batch.item_ids > 0) & torch.isin(batch.domain_ids, batch.target_domain_ids)
    draws = torch.rand(batch.item_ids.shape, device=batch.item_ids.device)
    draws = draws.masked_fill(~is_eligible, 2.0)
    is_hidden = (draws < share) | (draws == draws.min(dim=1, keepdim=True).values)
    is_hidden &= is_eligible
    is_earlier = batch.times[:, None] < batch.times[:, :, None]  # (B, L, L)
    is_earlier &= (batch.item_ids > 0)[:, None]
    places = torch.arange(1, batch.item_ids.size(1) + 1, device=draws.device)
    states = (is_earlier * places).max(dim=2).values - 1
    return batch._replace(
        target_ids=batch.item_ids * is_hidden,
        target_domain_ids=batch.domain_ids * is_hidden,
        target_weights=_weights(batch) * is_hidden,
        state_positions=torch.where(is_hidden, states, -1),
    )


def _weights(batch: SequenceBatch) -> Tensor:
    """Return the weight of every item of the history as a target, shape ``(B, L)``."""
    given = batch.target_weights[batch.target_ids > 0]
    mean = given.mean() if len(given) > 0 else batch.target_weights.new_ones(())
    is_target = hidden_targets(batch)
    if is_target is None:  # augmented: targets are no longer where their interactions are
        return mean.expand(batch.item_ids.shape)
    return torch.where(is_target, batch.target_weights, mean)


def hidden_targets(batch: SequenceBatch) -> Tensor | None:
    """Return which items of the history are targets, ``(B, L)``; ``None`` if targets are others."""
    if batch.target_ids.shape != batch.item_ids.shape:
        return None
    is_target = batch.target_ids > 0
    is_same = torch.equal(batch.target_ids, batch.item_ids * is_target)
    return is_target if is_same else None
