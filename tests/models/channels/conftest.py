"""The small catalog with all that channels may ask for."""

import pytest
import torch

from xrec_lightning.batches import Catalog
from xrec_lightning.histories import TrainingHistories

HISTORIES = [
    [(1, 10), (7, 20), (2, 30), (8, 40)],
    [(3, 10), (9, 20), (2, 30)],
    [(4, 10), (1, 10), (5, 20), (10, 30), (7, 30)],
]
"""Item and time of the training events of three users, of which the third took baskets."""

TAGS = {
    "item_tag": torch.tensor([[1, 13], [11, 13], [2, 14], [3, 14]]),
    "item_brand": torch.tensor([[12, 15], [3, 15]]),
    "entity_entity": torch.tensor([[9, 16], [16, 17], [10, 17], [4, 5]]),
}


@pytest.fixture
def linked(catalog: Catalog) -> Catalog:
    """The small catalog with training events, tags, profiles of two users, and images.

    Item 6 has no edges, the cold items 11 and 12 have tags only, and 12 has no image.
    """
    offsets = torch.tensor([0, *(len(each) for each in HISTORIES)]).cumsum(0)
    item_ids, times = torch.tensor([event for each in HISTORIES for event in each]).unbind(1)
    generator = torch.Generator().manual_seed(1)
    profiles, images = torch.randn(4, 8, generator=generator), torch.randn(13, 5)
    profiles[[0, 3]] = 0.0
    images[[0, 12]] = 0.0
    return catalog._replace(
        histories=lambda: TrainingHistories(offsets, item_ids, times),
        tags=lambda: TAGS,
        user_vectors=lambda: profiles,
        modalities={"image": lambda: images},
    )
