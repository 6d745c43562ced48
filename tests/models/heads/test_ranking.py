import math

import pytest
import torch

from xrec_lightning.models.heads.ranking import PairwiseConfig

DIFFERENCES = torch.tensor([2.0, -1.0])


def test_losses_are_worked_by_hand() -> None:
    logistic = PairwiseConfig().build()(DIFFERENCES)
    assert logistic.item() == pytest.approx((math.log1p(math.exp(-2)) + math.log1p(math.e)) / 2)
    shifted = PairwiseConfig(margin=1.0).build()(DIFFERENCES)
    assert shifted.item() == pytest.approx((math.log1p(math.exp(-1)) + math.log1p(math.exp(2))) / 2)
    hinge = PairwiseConfig(loss="hinge", margin=0.5).build()(DIFFERENCES)
    assert hinge.item() == pytest.approx((0 + 1.5) / 2)


def test_a_hinge_without_a_margin_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pairwise\.margin: 0\.0: .* set it above 0"):
        PairwiseConfig(loss="hinge").build()
