import torch

from xrec_lightning.batches import Catalog
from xrec_lightning.models.negatives import DomainNegatives


def test_negatives_come_from_the_domain_and_have_training_events(catalog: Catalog) -> None:
    negatives = DomainNegatives(catalog, 100)
    assert negatives.sample(1).tolist() == [1, 2, 3, 4, 5, 6]
    assert negatives.sample(2).tolist() == [6, 7, 8, 9, 10]


def test_negatives_are_distinct_and_uniform(catalog: Catalog) -> None:
    generator = torch.Generator().manual_seed(0)
    negatives = DomainNegatives(catalog, 2)
    draws = torch.stack([negatives.sample(2, generator) for _ in range(3000)])
    assert (draws[:, 0] != draws[:, 1]).all()
    counts = torch.bincount(draws.flatten(), minlength=11)[6:]
    assert ((counts - 1200).abs() < 120).all()  # about four standard deviations
