import pytest
import torch

from xrec_lightning.batches import Catalog
from xrec_lightning.knowledge import neighbors
from xrec_lightning.knowledge.neighbors import nearest_items

NUM_ITEMS = 23


@pytest.fixture
def catalog() -> Catalog:
    """Two domains that share items 8 to 12; items 3 and 9 are cold, 5 and 20 have no text."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(NUM_ITEMS + 1, 4, generator=generator)
    vectors[[0, 5, 20]] = 0.0
    counts = torch.ones(NUM_ITEMS + 1, dtype=torch.int64)
    counts[[0, 3, 9]] = 0
    return Catalog(
        fingerprint="near",
        domains=("books", "films"),
        slices=(),
        num_users=1,
        num_items=NUM_ITEMS,
        train_counts=counts,
        candidates=(torch.arange(1, 13), torch.arange(8, NUM_ITEMS + 1)),
        vectors=vectors,
    )


def by_search(catalog: Catalog, item: int, candidates: list[int], count: int) -> list[int]:
    """Return the nearest of ``candidates``, one comparison at a time."""
    assert catalog.vectors is not None
    known = [
        other
        for other in candidates
        if catalog.train_counts[other] > 0 and catalog.vectors[other].norm() > 0
    ]
    if item not in known:
        return [0] * count
    cosines = {
        other: torch.cosine_similarity(catalog.vectors[item], catalog.vectors[other], 0).item()
        for other in known
        if other != item
    }
    nearest = sorted(cosines, key=lambda other: -cosines[other])[:count]
    return nearest + [0] * (count - len(nearest))


@pytest.mark.parametrize("chunk", [1024, 3])
@pytest.mark.parametrize("count", [4, 30])
def test_neighbors_are_the_nearest_of_the_domain(
    catalog: Catalog, chunk: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbors, "CHUNK", chunk)
    found = nearest_items(catalog, count)
    items = torch.arange(NUM_ITEMS + 1)
    for domain, ids in enumerate(catalog.candidates, start=1):
        rows = found.of(torch.full_like(items, domain), items)
        assert rows.shape == (NUM_ITEMS + 1, count)
        for item in items.tolist():
            expected = by_search(catalog, item, ids.tolist(), count)
            assert rows[item].tolist() == (expected if item in ids else [0] * count)


def test_neighbors_of_all_domains_are_under_domain_0(catalog: Catalog) -> None:
    found = nearest_items(catalog, 5, by_domain=False)
    items = torch.arange(NUM_ITEMS + 1)
    rows = found.of(torch.zeros_like(items), items)
    everything = list(range(1, NUM_ITEMS + 1))
    assert rows.tolist() == [by_search(catalog, item, everything, 5) for item in items.tolist()]
    assert not found.of(torch.ones_like(items), items).any()


def test_nothing_is_near_where_no_item_has_text(catalog: Catalog) -> None:
    found = nearest_items(catalog._replace(vectors=torch.zeros(NUM_ITEMS + 1, 4)), 3)
    assert found.of(torch.tensor([1, 2]), torch.tensor([1, 15])).tolist() == [[0] * 3] * 2


def test_without_knowledge_the_remedy_is_named(catalog: Catalog) -> None:
    with pytest.raises(ValueError, match=r"data\.init_args\.knowledge"):
        nearest_items(catalog._replace(vectors=None), 3)
