import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import balanced_accuracy_score

from xrec_lightning.metrics.probe import domain_probe


def sample(distance: float, sizes: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    domain_ids = torch.repeat_interleave(torch.arange(1, len(sizes) + 1), torch.tensor(sizes))
    centers = torch.randn(len(sizes) + 1, 6, generator=generator)
    noise = torch.randn(len(domain_ids), 6, generator=generator)
    return distance * centers[domain_ids] + noise, domain_ids


def test_it_equals_the_ridge_classifier_of_scikit_learn() -> None:
    vectors, domain_ids = sample(0.5, (200, 200, 200))
    order = torch.randperm(600, generator=torch.Generator().manual_seed(3))
    fitted, judged = order[:300], order[300:]
    judge = RidgeClassifier(alpha=1e-6, class_weight="balanced")
    judge.fit(vectors[fitted].numpy(), domain_ids[fitted].numpy())
    expected = balanced_accuracy_score(domain_ids[judged], judge.predict(vectors[judged].numpy()))
    found = domain_probe(vectors, domain_ids, penalty=1e-8, seed=3)
    assert found.item() == pytest.approx(expected, abs=0.02)
    assert 0.4 < expected < 0.9


def test_without_a_difference_it_guesses_however_uneven_the_domains_are() -> None:
    vectors, domain_ids = sample(0.0, (1800, 200))
    assert domain_probe(vectors, domain_ids).item() == pytest.approx(0.5, abs=0.1)


def test_vectors_of_unknown_domain_do_not_count() -> None:
    vectors, domain_ids = sample(3.0, (50, 50))
    expected = domain_probe(vectors, domain_ids)
    more = torch.cat([vectors, torch.full((30, 6), 9.0)])
    unknown = torch.cat([domain_ids, torch.zeros(30, dtype=torch.int64)])
    assert domain_probe(more, unknown) == expected


@pytest.mark.parametrize("domain_ids", [[], [0, 0], [1, 1, 1, 1], [1, 2]])
def test_nothing_to_tell_apart_is_nan(domain_ids: list[int]) -> None:
    ids = torch.tensor(domain_ids, dtype=torch.int64)
    assert domain_probe(torch.ones(len(ids), 3), ids).isnan()
