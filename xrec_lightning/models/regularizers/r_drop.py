"""R-Drop: two drop-out passes must agree (Liang et al., NeurIPS 2021, arXiv:2106.14448)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.models.fusion import FusionScorer
from xrec_lightning.models.objectives import Comparison, LossConfig
from xrec_lightning.models.regularizers.base import Regularizer, RegularizerConfig
from xrec_lightning.models.training_pass import TrainingStep

EXCLUDED = -1e4
"""Logit of what does not count: its probability is 0 in single precision."""


@dataclass(frozen=True, kw_only=True)
class RDropConfig(RegularizerConfig):
    """Settings of an `RDrop`; ``weight`` is the paper's alpha."""

    @override
    def build(self, catalog: Catalog, scorer: FusionScorer, loss: LossConfig) -> "RDrop":
        if loss.is_blockwise:
            raise ValueError(
                "model.init_args.regularizers: R-Drop compares all logits of a batch, which "
                f"{type(loss).__name__} never holds at once; choose SampledSoftmaxLossConfig or "
                "FullSoftmaxLossConfig as loss"
            )
        return RDrop(self)


torch.serialization.add_safe_globals([RDropConfig])


class RDrop(Regularizer):
    """Train on two passes with other drop-out, and on the divergence of what they predict.

    A prediction is the softmax over the target, its negatives and dislikes, corrected as in the
    loss. The sum of loss and term is ``(L_1 + L_2) / 2 + weight * (KL(p_1, p_2) + KL(p_2, p_1)) /
    2``, the paper's with both halved, as in its own code. A step takes twice the time. Channels
    without drop-out add nothing.
    """

    name = "r_drop"

    def __init__(self, config: RDropConfig) -> None:
        super().__init__()
        self.weight = config.weight

    @override
    def forward(self, step: TrainingStep) -> Tensor:
        second = step.again()
        rows = []
        for comparisons in zip(step.first.comparisons, second.comparisons, strict=True):
            pairs = zip(*comparisons, strict=True)
            rows.append(torch.cat([symmetric_divergence(*pair) for pair in pairs]))
        other_half = 0.5 * (second.losses - step.first.losses)
        return step.means(other_half + self.weight * torch.stack(rows)).sum()


def symmetric_divergence(first: Comparison, second: Comparison) -> Tensor:
    """Return the mean of both Kullback-Leibler divergences of each target, shape ``(T,)``."""
    one, other = _log_probabilities(first), _log_probabilities(second)
    # (p - q) (log p - log q) sums both divergences; where nothing is predicted both are 0.
    return 0.5 * ((one.exp() - other.exp()) * (one - other)).sum(dim=1)


def _log_probabilities(comparison: Comparison) -> Tensor:
    """Return the logarithm of what is predicted, target first, 0 where nothing, ``(T, M + 1)``."""
    target_logits, negative_logits, is_excluded, log_expected = comparison.logits()
    if log_expected is not None:
        negative_logits = negative_logits - log_expected
    # Not -inf, whose difference to itself is no number.
    negative_logits = negative_logits.masked_fill(is_excluded, EXCLUDED)
    logits = torch.cat([target_logits[:, None], negative_logits], dim=1)
    is_open = F.pad(~is_excluded, (1, 0), value=True)
    return logits.log_softmax(dim=1) * is_open
