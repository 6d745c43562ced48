from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import log_softmax

from xrec_lightning.batches import Catalog
from xrec_lightning.models.objectives import (
    ChunkedSoftmaxLossConfig,
    Comparison,
    SampledSoftmaxLossConfig,
)
from xrec_lightning.models.regularizers.r_drop import RDropConfig
from xrec_lightning.models.training_pass import TrainingStep

MakeStep = Callable[[float], TrainingStep]


def divergences(first: Comparison, second: Comparison) -> list[float]:
    """Return the mean of both divergences of each target, in loops of double precision."""
    values = []
    sides = [each.logits() for each in (first, second)]
    for row in range(len(first.target_ids)):
        logs = []
        for target_logits, negative_logits, is_excluded, log_expected in sides:
            assert log_expected is not None
            corrected = (negative_logits[row] - log_expected)[~is_excluded[row]]
            logits = [target_logits[row].item(), *corrected.tolist()]
            logs.append(log_softmax(np.array(logits)))
        forward = sum(np.exp(a) * (a - b) for a, b in zip(*logs, strict=True))
        backward = sum(np.exp(b) * (b - a) for a, b in zip(*logs, strict=True))
        values.append((forward + backward) / 2)
    return values


def test_loss_and_term_are_the_formula_of_the_paper(make_step: MakeStep, catalog: Catalog) -> None:
    step = make_step(0.3)
    second = step.again()
    fixed = step._replace(again=lambda: second)
    term = RDropConfig(weight=0.7).build(catalog, step.scorer, SampledSoftmaxLossConfig())(fixed)
    expected = 0.0
    for index in range(2):
        pairs = zip(step.first.comparisons[index], second.comparisons[index], strict=True)
        parts = [value for pair in pairs for value in divergences(*pair)]
        losses = (step.first.losses[index] + second.losses[index]).tolist()
        for weight, loss, divergence in zip(step.weights.tolist(), losses, parts, strict=True):
            expected += weight * (loss / 2 + 0.7 * divergence) / 6
    loss = step.means(step.first.losses).sum() + term
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    for name, parameter in step.scorer.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def test_without_drop_out_it_adds_nothing(make_step: MakeStep, catalog: Catalog) -> None:
    step = make_step(0.0)
    term = RDropConfig().build(catalog, step.scorer, SampledSoftmaxLossConfig())(step)
    assert term.item() == 0.0


def test_a_loss_in_blocks_is_refused(make_step: MakeStep, catalog: Catalog) -> None:
    with pytest.raises(ValueError, match="choose SampledSoftmaxLossConfig or FullSoftmaxLoss"):
        RDropConfig().build(catalog, make_step(0.1).scorer, ChunkedSoftmaxLossConfig())
