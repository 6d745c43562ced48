import pytest
import torch

from xrec_lightning.models.language.pooling import Pooling, pool

HIDDEN = torch.tensor([[[1.0, 0.0], [4.0, 3.0], [9.0, 9.0]], [[5.0, 5.0], [7.0, 7.0], [9.0, 3.0]]])
MASK = torch.tensor([[True, True, False], [True, True, True]])
POOLINGS: tuple[Pooling, ...] = ("mean", "first", "last", "weighted")


def brute_force(states: list[list[float]], pooling: Pooling) -> list[float]:
    """Pool the states of one text without padding, number by number."""
    if pooling in ("first", "last"):
        return states[0 if pooling == "first" else -1]
    weights = [1.0 if pooling == "mean" else place for place in range(1, len(states) + 1)]
    columns = zip(*states, strict=True)
    return [
        sum(w * x for w, x in zip(weights, column, strict=True)) / sum(weights)
        for column in columns
    ]


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", [[2.5, 1.5], [7.0, 5.0]]),
        ("first", [[1.0, 0.0], [5.0, 5.0]]),
        ("last", [[4.0, 3.0], [9.0, 3.0]]),
        ("weighted", [[3.0, 2.0], [23 / 3, 14 / 3]]),
    ],
)
def test_vectors_equal_those_worked_by_hand(pooling: Pooling, expected: list[list[float]]) -> None:
    torch.testing.assert_close(pool(HIDDEN, MASK, pooling), torch.tensor(expected))


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("side", ["left", "right", "none"])
def test_they_equal_brute_force_wherever_padding_is(pooling: Pooling, side: str) -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = [7, 7, 7] if side == "none" else [1, 4, 7]
    hidden = torch.randn(3, 7, 5, generator=generator)
    mask = torch.zeros(3, 7, dtype=torch.bool)
    expected = []
    for row, length in enumerate(lengths):
        places = slice(7 - length, 7) if side == "left" else slice(0, length)
        mask[row, places] = True
        expected.append(brute_force(hidden[row, places].tolist(), pooling))
    torch.testing.assert_close(pool(hidden, mask, pooling), torch.tensor(expected))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_does_not_change_a_vector(pooling: Pooling) -> None:
    noise = torch.cat([HIDDEN, torch.full((2, 4, 2), torch.e)], dim=1)
    mask = torch.cat([MASK, torch.zeros(2, 4, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(pool(noise, mask, pooling), pool(HIDDEN, MASK, pooling))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_an_empty_text_is_zero(pooling: Pooling) -> None:
    assert pool(HIDDEN, torch.zeros_like(MASK), pooling).tolist() == [[0, 0], [0, 0]]


def test_sums_of_short_numbers_are_long() -> None:
    hidden = torch.ones(1, 4096, 1, dtype=torch.bfloat16)
    mask = torch.ones(1, 4096, dtype=torch.bool)
    assert pool(hidden, mask, "weighted").item() == 1
    assert pool(hidden, mask, "mean").dtype == torch.bfloat16
