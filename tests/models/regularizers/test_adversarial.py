from collections.abc import Callable
from copy import deepcopy
from functools import partial

import pytest
import torch

from xrec_lightning.batches import Catalog
from xrec_lightning.models.channels.knowledge import KnowledgeChannelConfig
from xrec_lightning.models.fusion import FusionScorer
from xrec_lightning.models.objectives import SampledSoftmaxLossConfig
from xrec_lightning.models.regularizers.adversarial import AdversarialConfig, replaced_weight
from xrec_lightning.models.training_pass import TrainingStep, training_pass

MakeStep = Callable[[float], TrainingStep]
LOSS = SampledSoftmaxLossConfig()


def moved_loss(step: TrainingStep, epsilon: float) -> tuple[torch.Tensor, FusionScorer]:
    """Return the loss of a copy of the scorer whose table really was moved."""
    loss = step.means(step.first.losses).sum()
    table = step.scorer.channel_list()[0].item_embedding.weight
    (gradient,) = torch.autograd.grad(loss, table, retain_graph=True)
    copy = deepcopy(step.scorer)
    with torch.no_grad():
        length = sum(value**2 for value in gradient.flatten().tolist()) ** 0.5
        copy.channel_list()[0].item_embedding.weight += epsilon * gradient / length
    again = step.again
    assert isinstance(again, partial)
    second = training_pass(copy, *again.args[1:])
    return step.means(second.losses).sum(), copy


def test_the_term_is_the_loss_of_a_moved_table(make_step: MakeStep, catalog: Catalog) -> None:
    step = make_step(0.0)
    config = AdversarialConfig(weight=0.5, epsilon=0.3)
    term = config.build(catalog, step.scorer, LOSS)(step)
    expected, copy = moved_loss(step, 0.3)
    assert term.item() == pytest.approx(0.5 * expected.item(), rel=1e-5)
    assert expected.item() > 1.02 * step.means(step.first.losses).sum().item()
    term.backward()
    expected.backward()
    for (name, one), (_, other) in zip(
        step.scorer.named_parameters(), copy.named_parameters(), strict=True
    ):
        assert one.grad is not None, name
        assert other.grad is not None, name
        torch.testing.assert_close(one.grad, 0.5 * other.grad)


def test_weights_stay_and_gradients_add_up(make_step: MakeStep, catalog: Catalog) -> None:
    step = make_step(0.0)
    before = {name: each.detach().clone() for name, each in step.scorer.named_parameters()}
    regularizer = AdversarialConfig().build(catalog, step.scorer, LOSS)
    for _ in range(2):  # as where gradients are accumulated
        fresh = step._replace(first=step.again())
        (step.means(fresh.first.losses).sum() + regularizer(fresh)).backward()
    after = dict(step.scorer.named_parameters())
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    fresh = step._replace(first=step.again())
    loss = fresh.means(fresh.first.losses).sum()
    clean = torch.autograd.grad(loss, list(after.values()), retain_graph=True)
    expected, copy = moved_loss(fresh, 0.5)
    expected.backward()
    for one, first, other in zip(after.values(), clean, copy.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad, 2 * (first + other.grad), rtol=1e-4, atol=1e-6)


def test_a_failing_pass_leaves_the_weight_in_place() -> None:
    table = torch.nn.Embedding(3, 2)
    own = table.weight
    with pytest.raises(RuntimeError, match="stop"), replaced_weight(table, own * 2):
        raise RuntimeError("stop")
    assert table.weight is own


def test_a_batch_without_targets_adds_nothing(make_step: MakeStep, catalog: Catalog) -> None:
    step = make_step(0.0)
    again = step.again
    assert isinstance(again, partial)
    none = partial(training_pass, *again.args[:3], [])
    empty = step._replace(first=none(), again=none, weights=torch.zeros(0))
    term = AdversarialConfig().build(catalog, step.scorer, LOSS)(empty)
    assert term.item() == 0.0
    term.backward()


def test_what_cannot_be_is_refused(catalog: Catalog) -> None:
    with pytest.raises(ValueError, match="epsilon is 0: set it above 0"):
        AdversarialConfig(epsilon=0)
    scorer = FusionScorer(catalog, [KnowledgeChannelConfig(dim=8)])
    with pytest.raises(ValueError, match="AdversarialConfig needs the item table"):
        AdversarialConfig().build(catalog, scorer, LOSS)
