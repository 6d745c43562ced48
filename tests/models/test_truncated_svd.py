import numpy as np
import pytest
from scipy.sparse import block_diag, csr_array, random_array

from xrec_lightning.models.truncated_svd import factorize


def some_matrix(rows: int, columns: int) -> csr_array:
    generator = np.random.default_rng(0)
    return random_array((rows, columns), density=0.2, rng=generator, format="csr")


def fading_matrix(rows: int, columns: int) -> csr_array:
    """Return a matrix whose singular values fall by a third each."""
    u, values, vt = np.linalg.svd(some_matrix(rows, columns).toarray(), full_matrices=False)
    return csr_array((u * 1.5 ** -np.arange(len(values))) @ vt)


@pytest.mark.parametrize(("shape", "dim"), [((60, 50), 5), ((40, 70), 8), ((9, 9), 6)])
def test_factors_are_those_of_the_dense_decomposition(shape: tuple[int, int], dim: int) -> None:
    matrix = fading_matrix(*shape)
    left, right = factorize(matrix, dim)
    u, values, vt = np.linalg.svd(matrix.toarray())
    np.testing.assert_allclose(left @ right.T, u[:, :dim] * values[:dim] @ vt[:dim], atol=1e-8)
    for factor, vectors in ((left, u), (right, vt.T)):
        expected = np.abs(vectors[:, :dim]) * values[:dim] ** 0.5
        np.testing.assert_allclose(np.abs(factor), expected, atol=1e-7)
    assert (np.take_along_axis(left, np.abs(left).argmax(0)[None], 0) > 0).all()


def test_factors_are_nearly_the_best_where_singular_values_fall_slowly() -> None:
    matrix = some_matrix(200, 150)
    left, right = factorize(matrix, 10)
    values = np.linalg.svd(matrix.toarray(), compute_uv=False)
    best = np.sqrt((values[10:] ** 2).sum())  # Eckart and Young, 1936
    assert best <= np.linalg.norm(matrix.toarray() - left @ right.T) < 1.002 * best


@pytest.mark.parametrize("size", [60, 9])
def test_equal_input_gives_equal_factors(size: int) -> None:
    matrix = some_matrix(size, size)
    for first, second in zip(factorize(matrix, 5), factorize(matrix.copy(), 5), strict=True):
        assert np.array_equal(first, second)


def test_columns_beyond_the_rank_and_empty_lines_are_zero() -> None:
    matrix = np.zeros((30, 30))
    matrix[1:20, 1:15] = np.outer(np.arange(1, 20), np.arange(1, 15))
    left, right = factorize(csr_array(matrix), 4)
    np.testing.assert_allclose(left @ right.T, matrix, rtol=1e-6, atol=1e-8)
    assert not left[:, 1:].any()
    assert not left[[0, *range(20, 30)]].any()
    assert not right[[0, *range(15, 30)]].any()
    assert not any(factor.any() for factor in factorize(csr_array((5, 5)), 3))


def test_lines_of_which_the_leading_directions_say_nothing_are_zero() -> None:
    matrix = block_diag([10 * some_matrix(40, 40), 1e-3 * np.eye(5)]).tocsr()
    left, right = factorize(csr_array(matrix), 6)
    assert not left[40:].any()
    assert not right[40:].any()
    assert left[:40].any()
