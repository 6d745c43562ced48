import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from xrec_lightning.knowledge.whitening import Whitening


@pytest.fixture
def vectors() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn(200, 6, generator=generator) @ torch.randn(6, 6, generator=generator)
    return mixed + 3.0


def test_whitened_vectors_have_zero_mean_and_unit_covariance(vectors: torch.Tensor) -> None:
    white = Whitening.fit(vectors, 6).apply(vectors).numpy()
    np.testing.assert_allclose(white.mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(np.cov(white.T), np.eye(6), atol=1e-3)


def test_it_equals_scikit_learn_up_to_signs(vectors: torch.Tensor) -> None:
    ours = Whitening.fit(vectors, 3).apply(vectors).numpy()
    theirs = PCA(3, whiten=True, svd_solver="full").fit_transform(vectors.double().numpy())
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-3)


def test_zero_vectors_stay_zero(vectors: torch.Tensor) -> None:
    whitening = Whitening.fit(vectors, 4)
    assert whitening.apply(torch.zeros(1, 6)).abs().sum() == 0


def test_directions_without_variance_do_not_explode() -> None:
    flat = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)) @ torch.ones(2, 4)
    assert Whitening.fit(flat, 4).apply(flat).isfinite().all()


def test_too_many_components_are_refused(vectors: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="at most 6"):
        Whitening.fit(vectors, 7)


def test_one_vector_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        Whitening.fit(torch.ones(1, 3), 2)
