import pytest

from xrec_lightning.models.regularizers.r_drop import RDropConfig


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_a_term_that_adds_nothing_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match=rf"RDropConfig.weight is {weight}: set it above 0"):
        RDropConfig(weight=weight)
