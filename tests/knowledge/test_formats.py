import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.knowledge.formats import checksum, pack, take, unpack

NUMBERS = st.floats(-1e6, 1e6, width=32)


@pytest.fixture
def vectors() -> torch.Tensor:
    return torch.randn(50, 16, generator=torch.Generator().manual_seed(0))


@given(st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=4))
def test_no_int8_number_is_off_by_more_than_half_a_scale(rows: list[list[float]]) -> None:
    vectors = torch.tensor(rows)
    half = vectors.abs().amax(dim=1, keepdim=True) / 127 / 2
    off = (unpack(pack(vectors, "int8")) - vectors).abs()
    assert (off <= half * (1 + 1e-4) + 1e-30).all()


def test_int8_keeps_directions(vectors: torch.Tensor) -> None:
    cosines = torch.cosine_similarity(unpack(pack(vectors, "int8")), vectors)
    assert cosines.min() > 0.9999
    assert cosines.min() < 1


def test_float16_is_off_by_its_rounding_and_float32_not_at_all(vectors: torch.Tensor) -> None:
    assert torch.equal(unpack(pack(vectors, "float32")), vectors)
    off = (unpack(pack(vectors, "float16")) - vectors).abs() / vectors.abs()
    assert 0 < off.max() <= 2**-11


def test_int8_takes_a_quarter_and_scales(vectors: torch.Tensor) -> None:
    sizes = {name: column.nbytes for name, column in pack(vectors, "int8").items()}
    assert sizes == {"vectors": 50 * 16, "scales": 50 * 4}


def test_zero_vectors_stay_zero_and_nothing_stays_nothing() -> None:
    assert unpack(pack(torch.zeros(2, 3), "int8")).tolist() == [[0, 0, 0]] * 2
    assert unpack(pack(torch.zeros(0, 0), "int8")).shape == (0, 0)


def test_rows_are_taken_with_their_scales(vectors: torch.Tensor) -> None:
    rows = torch.tensor([3, 1])
    assert torch.equal(
        unpack(take(pack(vectors, "int8"), rows)), unpack(pack(vectors, "int8"))[rows]
    )


def test_the_checksum_sees_one_bit_and_the_shape(vectors: torch.Tensor) -> None:
    columns = pack(vectors, "int8")
    before = checksum(columns)
    columns["vectors"][7, 3] += 1
    assert checksum(columns) != before
    assert checksum({"vectors": torch.zeros(2, 3)}) != checksum({"vectors": torch.zeros(3, 2)})
    assert checksum({"vectors": torch.zeros(0, 0)}) == checksum(pack(torch.zeros(0, 0), "float32"))
