import pytest
import torch

from xrec_lightning.models.language.pooling import Pooling, pool

HIDDEN = torch.tensor([[[1.0, 0.0], [3.0, 2.0], [9.0, 9.0]], [[5.0, 5.0], [7.0, 7.0], [9.0, 3.0]]])
MASK = torch.tensor([[True, True, False], [True, True, True]])


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", [[2.0, 1.0], [7.0, 5.0]]),
        ("first", [[1.0, 0.0], [5.0, 5.0]]),
        ("last", [[3.0, 2.0], [9.0, 3.0]]),
    ],
)
def test_vectors_equal_those_worked_by_hand(pooling: Pooling, expected: list[list[float]]) -> None:
    assert pool(HIDDEN, MASK, pooling).tolist() == expected


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_padding_does_not_change_a_vector(pooling: Pooling) -> None:
    noise = torch.cat([HIDDEN, torch.full((2, 4, 2), torch.e)], dim=1)
    mask = torch.cat([MASK, torch.zeros(2, 4, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(pool(noise, mask, pooling), pool(HIDDEN, MASK, pooling))


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_an_empty_text_is_zero(pooling: Pooling) -> None:
    assert pool(HIDDEN, torch.zeros_like(MASK), pooling).tolist() == [[0, 0], [0, 0]]
