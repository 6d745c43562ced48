import pytest
import torch
from torch import Tensor

from xrec_lightning.batches import Catalog
from xrec_lightning.models.losses import sampled_softmax_loss
from xrec_lightning.models.negatives import (
    HardNegativesConfig,
    InBatchNegativesConfig,
    NegativesConfig,
    PopularityNegativesConfig,
    UniformNegativesConfig,
)

NUM_ITEMS = 40
EVERY_KIND: list[NegativesConfig] = [
    UniformNegativesConfig(),
    PopularityNegativesConfig(power=0.5),
    InBatchNegativesConfig(uniform_share=0.5),
    HardNegativesConfig(nearest=3, skip=1),
]
CORRECTED: list[NegativesConfig] = [
    PopularityNegativesConfig(power=0.0),
    PopularityNegativesConfig(power=1.0),
    InBatchNegativesConfig(uniform_share=0.0),
    InBatchNegativesConfig(uniform_share=0.5),
    HardNegativesConfig(nearest=4, skip=0),
    HardNegativesConfig(nearest=4, skip=2, uniform_share=0.3),
]
kinds = pytest.mark.parametrize("config", EVERY_KIND, ids=lambda config: type(config).__name__)


@pytest.fixture
def large_catalog() -> Catalog:
    """Items 1 to 30 in the first domain, 31 to 40 in the second, the fortieth cold."""
    generator = torch.Generator().manual_seed(1)
    counts = torch.randint(1, 30, (NUM_ITEMS + 1,), generator=generator)
    counts[[0, 40]] = 0
    return Catalog(
        fingerprint="large",
        domains=("books", "films"),
        slices=(),
        num_users=1,
        num_items=NUM_ITEMS,
        train_counts=counts,
        candidates=(torch.arange(1, 31), torch.arange(31, 41)),
        vectors=torch.randn(NUM_ITEMS + 1, 4, generator=generator),
    )


def targets_of(catalog: Catalog, count: int, generator: torch.Generator) -> Tensor:
    """Draw targets of the first domain by their training events."""
    counts = catalog.train_counts[1:31].float()
    return 1 + torch.multinomial(counts, count, replacement=True, generator=generator)


def test_negatives_come_from_the_domain_and_have_training_events(catalog: Catalog) -> None:
    negatives = UniformNegativesConfig().build(catalog, 100)
    none = torch.zeros(0, dtype=torch.int64)
    assert negatives.sample(1, none).item_ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert negatives.sample(2, none).item_ids.tolist() == [6, 7, 8, 9, 10]


def test_uniform_negatives_are_distinct_and_uniform(catalog: Catalog) -> None:
    generator = torch.Generator().manual_seed(0)
    negatives = UniformNegativesConfig().build(catalog, 2)
    samples = [negatives.sample(2, torch.tensor([6]), generator) for _ in range(3000)]
    assert all(sample.log_expected is None for sample in samples)
    draws = torch.stack([sample.item_ids for sample in samples])
    assert (draws[:, 0] != draws[:, 1]).all()
    counts = torch.bincount(draws.flatten(), minlength=11)[6:]
    assert ((counts - 1200).abs() < 120).all()  # about four standard deviations


def test_uniform_negatives_are_the_first_of_a_random_permutation(catalog: Catalog) -> None:
    negatives = UniformNegativesConfig().build(catalog, 3)
    drawn = negatives.sample(1, torch.tensor([1]), torch.Generator().manual_seed(4)).item_ids
    order = torch.randperm(6, generator=torch.Generator().manual_seed(4))
    assert drawn.tolist() == (order[:3] + 1).tolist()


@kinds
def test_a_small_domain_is_taken_in_full_without_correction(
    config: NegativesConfig, large_catalog: Catalog
) -> None:
    sample = config.build(large_catalog, 10).sample(2, torch.tensor([31, 35]))
    assert sample.item_ids.tolist() == list(range(31, 40))
    assert sample.log_expected is None


@kinds
def test_samples_stay_in_the_domain_and_repeat_with_the_seed(
    config: NegativesConfig, large_catalog: Catalog
) -> None:
    negatives = config.build(large_catalog, 8)
    targets = targets_of(large_catalog, 20, torch.Generator().manual_seed(0))
    first, again, other = (
        negatives.sample(1, targets, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert first.item_ids.shape == (8,)
    assert first.item_ids.tolist() == again.item_ids.tolist()
    assert first.item_ids.tolist() != other.item_ids.tolist()
    for item in first.item_ids.tolist():
        assert 1 <= item <= 30


@pytest.mark.parametrize("config", CORRECTED, ids=repr)
def test_a_corrected_sample_estimates_the_sum_of_the_full_softmax(
    config: NegativesConfig, large_catalog: Catalog
) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(NUM_ITEMS + 1, generator=generator)
    negatives = config.build(large_catalog, 16)
    own, estimates = 3, []
    for _ in range(4000):
        targets = targets_of(large_catalog, 24, generator)
        targets[0] = own
        item_ids, log_expected = negatives.sample(1, targets, generator)
        assert log_expected is not None
        terms = (logits[item_ids] - log_expected).exp()
        estimates.append(terms[item_ids != own].sum())
    pool = torch.arange(1, 31)
    full = logits[pool[pool != own]].exp().sum()
    found = torch.stack(estimates)
    assert abs(found.mean() - full) < 4 * found.std() / len(found) ** 0.5


@pytest.mark.parametrize("config", CORRECTED, ids=repr)
def test_a_large_corrected_sample_gives_the_loss_of_the_full_softmax(
    config: NegativesConfig, large_catalog: Catalog
) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(NUM_ITEMS + 1, generator=generator)
    logits[0] = float("-inf")
    negatives = config.build(large_catalog, 29)
    losses = []
    for _ in range(1500):
        targets = targets_of(large_catalog, 400, generator)
        targets[0] = 3
        item_ids, log_expected = negatives.sample(1, targets, generator)
        is_target = (item_ids == 3)[None]
        losses.append(
            sampled_softmax_loss(logits[3][None], logits[item_ids][None], is_target, log_expected)
        )
    full = torch.nn.functional.cross_entropy(logits[1:31][None], torch.tensor([2]))
    assert torch.cat(losses).mean().item() == pytest.approx(full.item(), abs=0.08)


def test_popular_items_are_drawn_in_proportion(large_catalog: Catalog) -> None:
    generator = torch.Generator().manual_seed(0)
    negatives = PopularityNegativesConfig(power=0.5).build(large_catalog, 20)
    none = torch.zeros(0, dtype=torch.int64)
    draws = torch.cat([negatives.sample(1, none, generator).item_ids for _ in range(2000)])
    shares = torch.bincount(draws, minlength=31)[1:31] / len(draws)
    roots = large_catalog.train_counts[1:31] ** 0.5
    torch.testing.assert_close(shares, roots / roots.sum(), atol=0.005, rtol=0)


def test_in_batch_negatives_are_the_targets(large_catalog: Catalog) -> None:
    negatives = InBatchNegativesConfig(uniform_share=0.0).build(large_catalog, 50)
    targets = torch.tensor([4, 4, 9])
    item_ids, log_expected = negatives.sample(1, targets)
    assert sorted(item_ids.tolist()) == [4, 4, 9]
    assert log_expected is not None
    share = large_catalog.train_counts[item_ids] / large_catalog.train_counts[1:31].sum()
    torch.testing.assert_close(log_expected.exp(), 2 * share)  # two are not the row's own
    assert len(negatives.sample(1, targets[:0]).item_ids) == 0


def test_a_lone_target_without_negatives_has_no_loss_and_no_nan(large_catalog: Catalog) -> None:
    negatives = InBatchNegativesConfig(uniform_share=0.0).build(large_catalog, 50)
    item_ids, log_expected = negatives.sample(1, torch.tensor([4]))
    logits = torch.ones(1, 1, requires_grad=True)
    target = torch.ones(1, requires_grad=True)
    loss = sampled_softmax_loss(target, logits, item_ids[None] == 4, log_expected)
    loss.sum().backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert logits.grad.tolist() == [[0.0]]


def test_hard_negatives_are_near_the_targets_but_not_nearest(large_catalog: Catalog) -> None:
    assert large_catalog.vectors is not None
    negatives = HardNegativesConfig(nearest=3, skip=2, uniform_share=0.1).build(large_catalog, 20)
    pool = torch.arange(1, 31)
    cosines = torch.cosine_similarity(
        large_catalog.vectors[7][None], large_catalog.vectors[pool], dim=1
    )
    ranked = pool[cosines.argsort(descending=True)]  # the item itself comes first
    item_ids, _ = negatives.sample(1, torch.tensor([7]), torch.Generator().manual_seed(0))
    assert set(item_ids[2:].tolist()) == set(ranked[3:6].tolist())


def test_targets_without_text_have_uniform_negatives(large_catalog: Catalog) -> None:
    vectors = torch.zeros(NUM_ITEMS + 1, 4)
    negatives = HardNegativesConfig().build(large_catalog._replace(vectors=vectors), 20)
    item_ids, log_expected = negatives.sample(1, torch.tensor([7]))
    assert len(set(item_ids.tolist())) == 20
    assert log_expected is not None
    torch.testing.assert_close(log_expected.exp(), torch.full((20,), 20 / 30))


def test_settings_that_cannot_be_are_refused(catalog: Catalog) -> None:
    with pytest.raises(ValueError, match=r"uniform_share is 1\.5"):
        InBatchNegativesConfig(uniform_share=1.5)
    with pytest.raises(ValueError, match="uniform_share is 0: items that are near no target"):
        HardNegativesConfig(uniform_share=0)
    with pytest.raises(ValueError, match="knowledge"):
        HardNegativesConfig().build(catalog._replace(vectors=None), 5)
