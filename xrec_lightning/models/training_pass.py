"""One pass of the channels over the training targets of a batch.

Shapes: B histories, P targets of a history, C channels, T targets of the batch, one domain after
the other.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from xrec_lightning.batches import SequenceBatch
from xrec_lightning.models.fusion import FusionScorer
from xrec_lightning.models.objectives import Comparison, LossConfig


class DomainTargets(NamedTuple):
    """The targets of a batch in one domain and what they are told apart from."""

    is_here: Tensor
    """Shape ``(B, P)``."""
    target_ids: Tensor
    """Shape ``(T,)``."""
    negative_ids: Tensor
    """Shape ``(S,)``."""
    log_expected: Tensor | None
    """Correction of the negatives, shape ``(S,)``."""
    num_candidates: int
    """Items that the negatives are drawn from."""
    is_no_dislike: Tensor | None
    """Dislikes that do not count for a target, shape ``(T, K)``."""


class TrainingPass(NamedTuple):
    """What one pass of the channels said of the targets."""

    losses: Tensor
    """Loss of every channel that trains and target, shape ``(C, T)``."""
    comparisons: tuple[tuple[Comparison, ...], ...]
    """What the losses were computed from, one a domain for each channel."""


class TrainingStep(NamedTuple):
    """A training step, as what is added to its loss sees it."""

    scorer: FusionScorer
    batch: SequenceBatch
    first: TrainingPass
    """The pass whose mean loss is trained on."""
    weights: Tensor
    """Weights of the targets, 1 on average, shape ``(T,)``."""
    again: Callable[[], TrainingPass]
    """Makes another pass over the same targets and negatives, with other drop-out."""

    def means(self, losses: Tensor) -> Tensor:
        """Return the weighted mean over targets of ``losses``, from ``(C, T)`` to ``(C,)``."""
        # Windows of one basket hold no target.
        return (losses * self.weights).sum(dim=1) / max(1, losses.size(1))


def training_pass(
    scorer: FusionScorer, loss: LossConfig, batch: SequenceBatch, targets: Sequence[DomainTargets]
) -> TrainingPass:
    """Return what every channel that trains says of ``targets``, one of each domain."""
    rows, seen = [], []
    for index, channel in enumerate(scorer.channel_list()):
        if not channel.trains:
            continue
        queries = channel.queries(batch) * scorer.log_scales[index].exp()
        keys, bias = channel.keys(), scorer.bias
        disliked_logits = None
        if batch.disliked_ids.size(1) > 0:
            disliked_logits = queries @ keys[batch.disliked_ids].transpose(1, 2)
            disliked_logits = disliked_logits + bias[batch.disliked_ids][:, None]  # (B, P, K)
        losses = [queries.flatten()[:0]]  # keeps the graph when no target is there
        comparisons = []
        for each in targets:
            disliked = None if disliked_logits is None else disliked_logits[each.is_here]
            comparison = Comparison(
                queries=queries[each.is_here],
                keys=keys,
                bias=bias,
                target_ids=each.target_ids,
                negative_ids=each.negative_ids,
                log_expected=each.log_expected,
                num_candidates=each.num_candidates,
                disliked_logits=disliked,
                is_no_dislike=each.is_no_dislike,
            )
            comparisons.append(comparison)
            losses.append(loss.losses(comparison))
        rows.append(torch.cat(losses))
        seen.append(tuple(comparisons))
    return TrainingPass(torch.stack(rows), tuple(seen))


def relative_weights(batch: SequenceBatch, num_domains: int) -> Tensor:
    """Return the weights of the targets, 1 on average, one domain after the other, ``(T,)``."""
    domains = range(1, num_domains + 1)
    weights = torch.cat(
        [batch.target_weights[batch.target_domain_ids == domain] for domain in domains]
    )
    return weights * (len(weights) / weights.sum().clamp_min(1e-12))
