"""Maps of item vectors, against scikit-learn's principal components."""

import numpy as np
from sklearn.decomposition import PCA

from xrec_lightning.reports.embedding_map import between_share, draw_map, home_domains, project


def vectors_of_two_domains() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    domain_ids = np.repeat([0, 1], [30, 50])
    return generator.normal(size=(80, 5)) + 3 * domain_ids[:, None], domain_ids


def test_axes_are_principal_components() -> None:
    vectors, _ = vectors_of_two_domains()
    expected = PCA(2).fit_transform(vectors)
    np.testing.assert_allclose(np.abs(project(vectors)), np.abs(expected), atol=1e-9)
    assert project(vectors[:, :1]).shape == (80, 2)


def test_share_between_domains_is_one_less_that_within() -> None:
    vectors, domain_ids = vectors_of_two_domains()
    within = sum(
        ((own - own.mean(axis=0)) ** 2).sum()
        for own in (vectors[domain_ids == 0], vectors[domain_ids == 1])
    )
    total = ((vectors - vectors.mean(axis=0)) ** 2).sum()
    np.testing.assert_allclose(between_share(vectors, domain_ids), 1 - within / total)
    assert between_share(np.zeros((4, 2)), np.array([0, 0, 1, 1])) == 0


def test_a_map_shows_some_items_of_each_domain() -> None:
    vectors, domain_ids = vectors_of_two_domains()
    drawn = draw_map("keys", vectors, domain_ids, max_items=40)
    assert np.bincount(drawn.domain_ids).tolist() == [30, 40]
    assert drawn.share == between_share(vectors, domain_ids)
    again = draw_map("keys", vectors, domain_ids, max_items=40)
    np.testing.assert_array_equal(drawn.points, again.points)


def test_items_of_several_domains_have_no_home() -> None:
    homes = home_domains([np.array([1, 2]), np.array([2, 4])], 5)
    assert homes.tolist() == [0, -1, -1, 1, -1]
