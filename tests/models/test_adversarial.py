import math

import pytest
import torch
from torch.nn import functional

from xrec_lightning.models.adversarial import AdversaryConfig, reverse_gradient


def test_the_gradient_is_reversed_and_the_value_is_not() -> None:
    values = torch.tensor([1.0, 2.0], requires_grad=True)
    result = reverse_gradient(values, 0.25)
    assert torch.equal(result, values)
    (result**2).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [-0.5, -1.0]


def test_the_strength_rises_as_in_the_paper() -> None:
    adversary = AdversaryConfig(strength=0.5, steepness=10.0).build(4, 2)
    assert adversary.current == 0.0
    found = []
    for progress in (0.0, 0.1, 0.5, 1.0):
        adversary.follow(progress)
        found.append(adversary.current)
    expected = [0.5 * (2 / (1 + math.exp(-10 * p)) - 1) for p in (0.0, 0.1, 0.5, 1.0)]
    assert found == pytest.approx(expected)
    assert found[0] == 0.0


def test_domains_count_alike_and_unknown_ones_not_at_all() -> None:
    torch.manual_seed(0)
    adversary = AdversaryConfig(hidden_dim=4).build(3, 3)
    vectors, domain_ids = torch.randn(6, 3), torch.tensor([1, 1, 1, 3, 0, 0])
    unit = functional.normalize(vectors, dim=1) * math.sqrt(3)
    labels = (domain_ids - 1).clamp_min(0)
    losses = functional.cross_entropy(adversary.discriminator(unit), labels, reduction="none")
    expected = (losses[:3].mean() + losses[3]) / 2
    torch.testing.assert_close(adversary(vectors, domain_ids), expected)
    nothing = adversary(vectors, torch.zeros_like(domain_ids))
    assert nothing.item() == 0.0
    nothing.backward()  # data parallel training wants every weight to have its gradient
    assert all(weight.grad is not None for weight in adversary.parameters())


def test_the_discriminator_learns_what_its_input_unlearns() -> None:
    torch.manual_seed(0)
    adversary = AdversaryConfig(strength=2.0, hidden_dim=8).build(4, 2)
    domain_ids = torch.tensor([1, 2]).repeat(16)
    vectors = torch.randn(32, 4) + 2.0 * (domain_ids == 1)[:, None]
    vectors.requires_grad_(True)
    loss = adversary(vectors, domain_ids)
    adversary.follow(1.0)
    loss = adversary(vectors, domain_ids)
    loss.backward()
    step = 0.1
    with torch.no_grad():
        assert vectors.grad is not None
        worse = adversary(vectors - step * vectors.grad / vectors.grad.norm(), domain_ids)
        for weight in adversary.parameters():
            assert weight.grad is not None
            weight -= step * weight.grad
        better = adversary(vectors, domain_ids)
    assert better < loss < worse


def test_one_domain_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data have 1 domain.*leave it out"):
        AdversaryConfig().build(4, 1)
