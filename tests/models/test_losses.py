import math

import pytest
import torch

from xrec_lightning.models.losses import sampled_softmax_loss


def test_the_whole_catalog_as_sample_gives_the_full_softmax() -> None:
    logits = torch.randn(5, 9, generator=torch.Generator().manual_seed(0))
    positive = torch.tensor([0, 3, 8, 3, 5])
    is_target = torch.arange(9) == positive[:, None]
    sampled = sampled_softmax_loss(
        logits.gather(1, positive[:, None])[:, 0], logits, is_target, None
    )
    expected = torch.nn.functional.cross_entropy(logits, positive, reduction="none")
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
    full = torch.nn.functional.cross_entropy(logits, torch.tensor([0]))
    assert corrected.item() == pytest.approx(full.item(), abs=0.05)


def test_a_target_among_its_negatives_does_not_count() -> None:
    logits = torch.tensor([[2.0, 2.0]])
    loss = sampled_softmax_loss(torch.tensor([2.0]), logits, torch.tensor([[True, True]]), None)
    assert loss.item() == 0.0
