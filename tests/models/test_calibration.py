import math

import numpy as np
import pytest
import torch

from xrec_lightning.models.calibration import (
    TOP_K,
    Evidence,
    concatenate,
    fit_cold_offset,
    fit_tail_factors,
    fit_weights,
    refine_weights,
    target_gains,
)


def evidence(num_targets: int = 300) -> Evidence:
    """The target wins by the second part alone; the first is noise, the third misleads."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(0, 40, (num_targets,), generator=generator)
    is_target = torch.arange(40) == targets[:, None]
    noise = torch.randn(num_targets, 40, generator=generator)
    helpful = torch.randn(num_targets, 40, generator=generator) + 2.0 * is_target
    harmful = torch.randn(num_targets, 40, generator=generator) - 2.0 * is_target
    excluded = (torch.rand(num_targets, 40, generator=generator) < 0.1) & ~is_target
    return Evidence((noise, helpful, harmful), torch.zeros(40), excluded, targets)


def mean_gain(case: Evidence, weights: torch.Tensor) -> float:
    return target_gains(case, weights).mean().item()


def test_mean_gain_equals_a_loop_over_targets() -> None:
    case = evidence(50)
    scores = case.parts[1].numpy()
    gains = []
    for row, target in enumerate(case.targets.tolist()):
        allowed = ~case.is_excluded[row].numpy()
        rank = int((scores[row][allowed] >= scores[row, target]).sum())
        gains.append(1 / math.log2(1 + rank) if rank <= TOP_K else 0.0)
    assert mean_gain(case, torch.tensor([0.0, 1.0, 0.0])) == pytest.approx(np.mean(gains), abs=1e-6)


def test_ties_count_against_the_target() -> None:
    case = Evidence(
        (torch.zeros(1, 3),), torch.zeros(3), torch.zeros(1, 3).bool(), torch.tensor([1])
    )
    assert mean_gain(case, torch.ones(1)) == pytest.approx(1 / math.log2(4))


def test_helpful_parts_gain_weight_and_harmful_ones_lose_it() -> None:
    case = evidence()
    start = torch.tensor([1.0, 0.3, 0.3])
    fitted = fit_weights([case], start)
    assert fitted[0] == 1.0
    assert fitted[1] > 1.0
    assert fitted[2] == 0.0
    assert mean_gain(case, fitted) > mean_gain(case, start)


def test_the_bias_counts_beside_the_weights() -> None:
    case = evidence(60)
    bias = torch.linspace(-2, 2, 40)
    as_part = case._replace(parts=(*case.parts, bias.expand(60, -1)))
    weights = torch.tensor([0.5, 0.8, 0.1])
    expected = mean_gain(as_part, torch.tensor([0.5, 0.8, 0.1, 1.0]))
    assert mean_gain(case._replace(bias=bias), weights) == expected
    fitted = fit_weights([case._replace(bias=bias)], weights)
    assert mean_gain(case._replace(bias=bias), fitted) >= expected


def test_domains_are_weighed_by_their_targets() -> None:
    few, many = evidence(20), evidence(400)
    opposite = many._replace(parts=(many.parts[0], many.parts[2], many.parts[1]))
    start = torch.tensor([1.0, 0.3, 0.3])
    assert fit_weights([few, opposite], start).argmax() == 2
    assert fit_weights([few, opposite._replace(parts=many.parts)], start).argmax() == 1


def test_a_domain_gets_weights_of_its_own_only_for_a_sure_gain() -> None:
    case, misleading = evidence(300), torch.tensor([1.0, 0.3, 0.3])
    own = refine_weights(case, misleading)
    gain = target_gains(case, own) - target_gains(case, misleading)
    assert gain.mean() > gain.std() / 300**0.5
    best = own
    for _ in range(5):
        best = fit_weights([case], best)
    assert torch.equal(refine_weights(case, best), best)


def tail_case() -> tuple[Evidence, torch.Tensor]:
    """The first 20 candidates are rare: there the first part misleads, the second tells more."""
    case = evidence(600)
    is_tail = torch.arange(40) < 20
    rare = is_tail & (torch.arange(40) == case.targets[:, None])
    parts = (case.parts[0] - 1.5 * rare, case.parts[1], case.parts[2])
    return case._replace(parts=parts), is_tail


@pytest.mark.parametrize("tolerance", [0.005, 0.05])
def test_targets_of_the_tail_gain_what_all_targets_can_afford(tolerance: float) -> None:
    case, is_tail = tail_case()
    weights = torch.tensor([1.0, 1.0, 0.0])
    factors = fit_tail_factors([case], [weights], [is_tail], tolerance)
    assert factors[1] > 1.0
    parts = tuple(
        torch.where(is_tail, part * factor, part)
        for part, factor in zip(case.parts, factors, strict=True)
    )
    before, after = target_gains(case, weights), target_gains(case._replace(parts=parts), weights)
    is_rare = is_tail[case.targets]
    assert after[is_rare].mean() > before[is_rare].mean()
    assert after.mean() >= (1 - tolerance) * before.mean() - 1e-6


def test_without_a_tail_one_weight_is_kept() -> None:
    case, is_tail = tail_case()
    factors = fit_tail_factors([case], [torch.ones(3)], [torch.zeros_like(is_tail)], 0.1)
    assert torch.equal(factors, torch.ones(3))


def test_a_weight_of_zero_is_kept_where_nothing_helps() -> None:
    case = evidence()
    assert fit_weights([case], torch.tensor([1.0, 0.5, 0.0]))[2] == 0.0


def test_pieces_become_one() -> None:
    case = evidence(20)
    pieces = [
        case._replace(
            parts=tuple(part[rows] for part in case.parts),
            is_excluded=case.is_excluded[rows],
            targets=case.targets[rows],
        )
        for rows in (slice(0, 7), slice(7, 7), slice(7, 20))
    ]
    whole = concatenate(pieces)
    weights = torch.tensor([0.5, 1.0, 0.1])
    assert mean_gain(whole, weights) == mean_gain(case, weights)


def cold_case() -> tuple[Evidence, torch.Tensor]:
    """Warm targets among 40 candidates, of which the last ten are cold."""
    case = evidence(400)
    warm = case.targets < 30
    parts = tuple(part[warm] for part in case.parts)
    is_cold = torch.arange(40) >= 30
    case = Evidence(parts, case.bias, case.is_excluded[warm], case.targets[warm])
    return case, is_cold


def ndcg_of(case: Evidence, weights: torch.Tensor, is_cold: torch.Tensor, offset: float) -> float:
    """NDCG@20 of the targets when cold candidates are raised by ``offset``, by a loop."""
    scores = sum(w * p for w, p in zip(weights, case.parts, strict=True)) + is_cold * offset
    gains = []
    for row, target in enumerate(case.targets.tolist()):
        rank = int((scores[row] >= scores[row, target])[~case.is_excluded[row]].sum())
        gains.append(1 / math.log2(1 + rank) if rank <= TOP_K else 0.0)
    return float(np.mean(gains))


@pytest.mark.parametrize("tolerance", [0.02, 0.1, 0.3])
def test_cold_items_are_raised_as_far_as_warm_targets_can_afford(tolerance: float) -> None:
    case, is_cold = cold_case()
    weights = torch.tensor([0.1, 1.0, 0.0])
    offset = fit_cold_offset(case, weights, is_cold, tolerance)
    without_cold = ndcg_of(case, weights, is_cold, -1e6)
    assert ndcg_of(case, weights, is_cold, offset) >= (1 - tolerance) * without_cold - 1e-6
    assert ndcg_of(case, weights, is_cold, offset + 0.1) < (1 - tolerance) * without_cold


def test_without_cold_candidates_there_is_no_offset() -> None:
    case, is_cold = cold_case()
    assert fit_cold_offset(case, torch.ones(3), torch.zeros_like(is_cold), 0.1) == 0.0


def test_targets_that_cannot_tell_leave_the_offset_at_zero() -> None:
    case, is_cold = cold_case()
    last = -(torch.arange(40) == case.targets[:, None]).float()  # behind 29 warm candidates
    hopeless = Evidence((last,), case.bias, torch.zeros_like(case.is_excluded), case.targets)
    assert fit_cold_offset(hopeless, torch.ones(1), is_cold, 0.1) == 0.0
    never_in_the_way = case._replace(is_excluded=case.is_excluded | is_cold)
    assert fit_cold_offset(never_in_the_way, torch.ones(3), is_cold, 0.1) == 0.0
