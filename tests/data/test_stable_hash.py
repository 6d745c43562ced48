import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.data.stable_hash import Stream, _mix, stable_hash

MASK = 2**64 - 1


def mix(state: int) -> int:
    """SplitMix64 in whole numbers, as its authors write it."""
    mixed = (state + 0x9E3779B97F4A7C15) & MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
    return mixed ^ (mixed >> 31)


def test_the_mixer_gives_the_published_outputs_of_seed_0() -> None:
    gamma = 0x9E3779B97F4A7C15
    states = np.array([0, gamma, 2 * gamma & MASK], dtype=np.uint64)
    assert [hex(each) for each in _mix(states)] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]
    assert states[0] == 0  # the argument is left alone


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**70),
    rows=st.lists(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)), min_size=1),
)
def test_each_key_is_mixed_in_after_the_seed_and_the_stream(
    seed: int, rows: list[tuple[int, int]]
) -> None:
    left, right = np.array(rows, dtype=np.int32).T
    start = mix(mix(seed & MASK) ^ Stream.COLD_USERS)
    expected = [mix(mix(start ^ a) ^ b) for a, b in rows]
    assert stable_hash(seed, Stream.COLD_USERS, left, right).tolist() == expected


def test_hashes_of_one_key_never_meet() -> None:
    hashes = stable_hash(0, Stream.TIES, np.arange(100_000, dtype=np.int32))
    assert len(np.unique(hashes)) == 100_000


@pytest.mark.parametrize("stream", list(Stream))
def test_hashes_are_uniform_and_change_with_the_seed(stream: Stream) -> None:
    numbers = np.arange(64_000, dtype=np.int32)
    hashes = stable_hash(7, stream, numbers, numbers[::-1])
    for shift in (0, 29, 58):
        counts = np.bincount((hashes >> np.uint64(shift)).astype(np.int64) & 63, minlength=64)
        chi_square = ((counts - 1000) ** 2 / 1000).sum()
        assert chi_square < 120  # 63 degrees of freedom: beyond it once in 100,000 tries
    others = stable_hash(8, stream, numbers, numbers[::-1])
    flipped = np.unpackbits((hashes ^ others).view(np.uint8)).mean()
    assert abs(flipped - 0.5) < 0.002
