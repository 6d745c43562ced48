from collections.abc import Callable

import pytest
import torch

from xrec_lightning.batches import Catalog
from xrec_lightning.models.training_pass import TrainingStep, relative_weights

MakeStep = Callable[[float], TrainingStep]


def test_losses_are_the_softmax_of_every_target(make_step: MakeStep, catalog: Catalog) -> None:
    scorer, batch, first, *_ = make_step(0.0)
    for index, channel in enumerate(scorer.channel_list()):
        queries, keys = channel.queries(batch) * scorer.log_scales[index].exp(), channel.keys()
        expected = []
        for domain, pool in enumerate(catalog.candidates, start=1):
            corrections = dict(
                zip(pool[:5].tolist(), torch.linspace(-1, 1, 5).tolist(), strict=True)
            )
            for row, column in (batch.target_domain_ids == domain).nonzero().tolist():
                target = int(batch.target_ids[row, column])
                logits = (scorer.bias + keys @ queries[row, column]).tolist()
                others = [logits[i] - c for i, c in corrections.items() if i != target]
                disliked = set(batch.disliked_ids[row].tolist()) & set(pool.tolist())
                others += [logits[i] for i in disliked - {target}]
                total = torch.tensor([logits[target], *others]).logsumexp(0).item()
                expected.append(total - logits[target])
        assert first.losses[index].tolist() == pytest.approx(expected, abs=1e-5)
        assert len(expected) == 6


def test_another_pass_differs_by_drop_out_alone(make_step: MakeStep) -> None:
    step = make_step(0.0)
    assert torch.equal(step.first.losses, step.again().losses)
    step = make_step(0.5)
    again = step.again()
    assert not torch.equal(step.first.losses[0], again.losses[0])
    assert torch.equal(step.first.losses[1], again.losses[1])  # knows no drop-out
    for one, other in zip(step.first.comparisons[0], again.comparisons[0], strict=True):
        assert torch.equal(one.negative_ids, other.negative_ids)
        assert torch.equal(one.target_ids, other.target_ids)


def test_means_are_weighted_by_target_in_the_order_of_the_losses(make_step: MakeStep) -> None:
    step = make_step(0.0)
    weights = [1.0, 1.0, 3.0, 1.0, 2.0, 0.5]  # those of domain 1, then those of domain 2
    losses = step.first.losses[0].tolist()
    expected = sum(weight * loss for weight, loss in zip(weights, losses, strict=True))
    assert step.means(step.first.losses)[0].item() == pytest.approx(expected / sum(weights))
    assert relative_weights(step.batch, 2).mean().item() == pytest.approx(1.0)


def test_the_mean_over_no_target_is_zero(make_step: MakeStep) -> None:
    step = make_step(0.0)._replace(weights=torch.zeros(0))
    assert step.means(torch.zeros(2, 0)).tolist() == [0.0, 0.0]
