import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from xrec_lightning.models.losses import bce_loss, bpr_loss, gbce_power, sampled_softmax_loss


def test_the_whole_catalog_as_sample_gives_the_full_softmax() -> None:
    logits = torch.randn(5, 9, generator=torch.Generator().manual_seed(0))
    positive = torch.tensor([0, 3, 8, 3, 5])
    is_target = torch.arange(9) == positive[:, None]
    sampled = sampled_softmax_loss(
        logits.gather(1, positive[:, None])[:, 0], logits, is_target, None
    )
    expected = F.cross_entropy(logits, positive, reduction="none")
    torch.testing.assert_close(sampled, expected)


def test_one_negative_by_hand() -> None:
    loss = sampled_softmax_loss(
        torch.tensor([1.0]), torch.tensor([[0.0, 5.0]]), torch.tensor([[False, True]]), None
    )
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)))


def test_log_q_makes_a_skewed_sample_estimate_the_full_softmax() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 50, generator=generator)
    share = torch.softmax(torch.randn(50, generator=generator), 0)
    share[0] = 0.0  # the target itself is never drawn
    share = share / share.sum()
    draws = 20_000
    negatives = torch.multinomial(share, draws, replacement=True, generator=generator)
    no_target = torch.zeros(1, draws, dtype=torch.bool)
    expected_draws = (share[negatives] * draws).log()
    corrected = sampled_softmax_loss(logits[:, 0], logits[:, negatives], no_target, expected_draws)
    full = F.cross_entropy(logits, torch.tensor([0]))
    assert corrected.item() == pytest.approx(full.item(), abs=0.05)


def test_a_target_among_its_negatives_does_not_count() -> None:
    logits = torch.tensor([[2.0, 2.0]])
    loss = sampled_softmax_loss(torch.tensor([2.0]), logits, torch.tensor([[True, True]]), None)
    assert loss.item() == 0.0


def sample(rows: int = 6, negatives: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    """Return target logits, negative logits and which of them do not count."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(rows, negatives + 1, generator=generator)
    return logits[:, 0], logits[:, 1:], torch.rand(rows, negatives, generator=generator) < 0.3


def test_binary_cross_entropy_is_that_of_torch() -> None:
    target_logits, negative_logits, is_target = sample()
    losses = bce_loss(target_logits, negative_logits, is_target, None)
    for row, loss in enumerate(losses):
        logits = torch.cat([target_logits[row, None], negative_logits[row][~is_target[row]]])
        labels = (torch.arange(len(logits)) == 0).float()
        torch.testing.assert_close(loss, F.binary_cross_entropy_with_logits(logits, labels))


@pytest.mark.parametrize("calibration", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("rate", [0.02, 0.5, 1.0])
def test_gbce_is_the_formula_of_the_paper(rate: float, calibration: float) -> None:
    target_logits, negative_logits, is_target = sample()
    beta = rate * (calibration * (1 - 1 / rate) + 1 / rate)
    losses = bce_loss(
        target_logits, negative_logits, is_target, None, gbce_power(rate, calibration)
    )
    for row, loss in enumerate(losses.tolist()):
        kept = negative_logits[row][~is_target[row]].double()
        log_target = torch.log(torch.sigmoid(target_logits[row].double()) ** beta)
        total = log_target + torch.log(1 - torch.sigmoid(kept)).sum()
        assert loss == pytest.approx(-total.item() / (len(kept) + 1), rel=1e-5)


@pytest.mark.parametrize(("calibration", "expected"), [(1.0, 0.2), (0.0, 0.2 / (0.2 + 0.1 * 0.8))])
def test_gbce_learns_the_probability_that_it_is_calibrated_to(
    calibration: float, expected: float
) -> None:
    # An item is the target in a fifth of the cases and else a negative at a rate of a tenth.
    logits = torch.linspace(-8, 8, 16_001)[:, None]
    no_negative, one = torch.zeros(len(logits), 0), torch.zeros(len(logits), 1, dtype=torch.bool)
    power = gbce_power(0.1, calibration)
    as_target = bce_loss(logits[:, 0], no_negative, one[:, :0], None, power)
    silent = torch.full_like(logits[:, 0], 100.0)
    as_negative = 2 * bce_loss(silent, logits, one, None, power)
    best = (0.2 * as_target + 0.8 * 0.1 * as_negative).argmin()
    assert torch.sigmoid(logits[best]).item() == pytest.approx(expected, abs=1e-3)


def test_bpr_is_the_mean_over_pairs() -> None:
    target_logits, negative_logits, is_target = sample()
    losses = bpr_loss(target_logits, negative_logits, is_target, None)
    for row, loss in enumerate(losses.tolist()):
        pairs = [
            -math.log(1 / (1 + math.exp(float(negative) - float(target_logits[row]))))
            for negative in negative_logits[row][~is_target[row]]
        ]
        assert loss == pytest.approx(sum(pairs) / len(pairs), rel=1e-4)


def test_corrected_binary_and_pairwise_losses_are_their_formulas() -> None:
    target_logits, negative_logits, is_target = sample()
    log_expected = torch.linspace(-1.5, 1.0, 9)
    losses = [
        loss(target_logits, negative_logits, is_target, log_expected).tolist()
        for loss in (bce_loss, bpr_loss)
    ]
    for row, target in enumerate(target_logits.tolist()):
        kept = [column for column in range(9) if not is_target[row, column]]
        inverse = [math.exp(-float(log_expected[column])) for column in kept]
        shares = [len(kept) * each / sum(inverse) for each in inverse]
        logits = [float(negative_logits[row, column]) for column in kept]
        binary = math.log1p(math.exp(-target))
        binary += sum(w * math.log1p(math.exp(x)) for w, x in zip(shares, logits, strict=True))
        pairwise = sum(
            w * math.log1p(math.exp(x - target)) for w, x in zip(shares, logits, strict=True)
        )
        assert losses[0][row] == pytest.approx(binary / (1 + len(kept)), rel=1e-5)
        assert losses[1][row] == pytest.approx(pairwise / len(kept), rel=1e-4)


@pytest.mark.parametrize("loss", [bce_loss, bpr_loss])
def test_corrected_draws_estimate_uniform_negatives(loss: Callable[..., Tensor]) -> None:
    generator = torch.Generator().manual_seed(0)
    target_logits, logits = torch.zeros(1), 2 * torch.randn(1, 50, generator=generator)
    share = torch.softmax(logits[0], dim=0)  # the hard ones far too often
    draws = torch.multinomial(share, 20_000, replacement=True, generator=generator)
    is_target = torch.zeros(1, 20_000, dtype=torch.bool)
    # As many uniform negatives as draws, so that the target has the same part in the mean.
    uniform = loss(target_logits, logits.repeat(1, 400), is_target, None).item()
    skewed = loss(target_logits, logits[:, draws], is_target, None).item()
    expected = (share[draws] * 20_000).log()
    corrected = loss(target_logits, logits[:, draws], is_target, expected).item()
    assert corrected == pytest.approx(uniform, rel=0.05)
    assert skewed > 1.3 * uniform


@pytest.mark.parametrize("loss", [sampled_softmax_loss, bce_loss, bpr_loss])
@pytest.mark.parametrize("log_expected", [None, torch.tensor([0.5, -80.0])])
def test_excluded_negatives_do_not_count(
    loss: Callable[..., Tensor], log_expected: Tensor | None
) -> None:
    target_logits = torch.tensor([1.0, 2.0], requires_grad=True)
    is_target = torch.tensor([[False, True], [True, True]])
    first = loss(target_logits, torch.tensor([[0.0, 5.0], [1.0, 2.0]]), is_target, log_expected)
    other = loss(target_logits, torch.tensor([[0.0, -9.0], [7.0, 80.0]]), is_target, log_expected)
    torch.testing.assert_close(first, other)
    first.sum().backward()
    assert target_logits.grad is not None
    assert target_logits.grad.isfinite().all()
