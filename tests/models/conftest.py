"""A small catalog and a batch that the model tests share."""

import pytest
import torch

from xrec_lightning.batches import Catalog, SequenceBatch

NUM_ITEMS = 12


@pytest.fixture
def catalog() -> Catalog:
    """Twelve items in two domains; item 6 is in both, 11 and 12 are cold, 12 has no text."""
    vectors = torch.randn(NUM_ITEMS + 1, 8, generator=torch.Generator().manual_seed(0))
    vectors[[0, 12]] = 0.0
    return Catalog(
        fingerprint="tiny",
        domains=("books", "films"),
        slices=("warm", "cold"),
        num_users=3,
        num_items=NUM_ITEMS,
        train_counts=torch.tensor([0, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 0, 0]),
        candidates=(torch.tensor([1, 2, 3, 4, 5, 6, 11]), torch.tensor([6, 7, 8, 9, 10, 12])),
        vectors=vectors,
    )


@pytest.fixture
def batch() -> SequenceBatch:
    """Three histories of four, two and no interactions, one target each."""
    item_ids = torch.tensor([[1, 7, 2, 8], [3, 9, 0, 0], [0, 0, 0, 0]])
    return SequenceBatch(
        user_ids=torch.tensor([1, 2, 3]),
        item_ids=item_ids,
        domain_ids=torch.tensor([[1, 2, 1, 2], [1, 2, 0, 0], [0, 0, 0, 0]]),
        times=torch.tensor([[10, 20, 30, 40], [10, 20, 0, 0], [0, 0, 0, 0]]),
        target_ids=torch.tensor([[4], [10], [5]]),
        target_domain_ids=torch.tensor([[1], [2], [1]]),
        target_weights=torch.ones(3, 1),
        state_positions=torch.tensor([[3], [1], [-1]]),
        disliked_ids=item_ids[:, :0],
        seen_ids=item_ids,
        slice_mask=torch.tensor([[True, False], [True, False], [True, False]]),
        row_ids=torch.tensor([0, 1, 2]),
    )
