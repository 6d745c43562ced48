import pytest
import torch

from xrec_lightning.models.sequence.mean import MeanConfig

INPUTS = torch.tensor([[[8.0], [4.0], [2.0]]])
TIMES = torch.zeros(1, 3, dtype=torch.int64)


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        (1.0, [8.0, 6.0, 14 / 3]),
        (0.5, [8.0, (4 + 4) / 1.5, (2 + 2 + 2) / 1.75]),
        (0.0, [8.0, 4.0, 2.0]),
    ],
)
def test_means_by_hand(decay: float, expected: list[float]) -> None:
    states = MeanConfig(decay=decay).build()(INPUTS, TIMES)
    assert states.flatten().tolist() == pytest.approx(expected)


def test_a_long_history_keeps_finite_weights() -> None:
    inputs = torch.ones(1, 2000, 1)
    states = MeanConfig(decay=0.5).build()(inputs, torch.zeros(1, 2000, dtype=torch.int64))
    torch.testing.assert_close(states, inputs)


@pytest.mark.parametrize("decay", [-0.1, 1.1])
def test_decay_is_a_share(decay: float) -> None:
    with pytest.raises(ValueError, match=r"MeanConfig.decay is .*: set it from 0 to 1"):
        MeanConfig(decay=decay)
