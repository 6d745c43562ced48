import pytest
import torch

from xrec_lightning.batches import JointPromptBatch, PromptBatch, TextBatch
from xrec_lightning.models.language.tower import LanguageTower, TowerConfig
from xrec_lightning.modules.tasks.prompts import prompt_vectors


@pytest.fixture
def tower(tiny_language: str) -> LanguageTower:
    return TowerConfig(model=tiny_language).build().eval()


def test_two_texts_give_two_vectors_and_one_gives_one(tower: LanguageTower) -> None:
    left, right = (
        TextBatch(torch.tensor([[2, first, 3]]), torch.ones(1, 3, dtype=torch.bool))
        for first in (5, 6)
    )
    ids = torch.ones(1, dtype=torch.int64)
    rest = (ids.float(), ids, ids, ids, ids)
    expected = (tower(left), tower(right))
    assert not torch.equal(*expected)
    for found, vectors in (
        (prompt_vectors(tower, PromptBatch(left, right, *rest)), expected),
        (prompt_vectors(tower, JointPromptBatch(right, *rest)), expected[1:]),
    ):
        assert len(found) == len(vectors)
        assert all(torch.equal(a, b) for a, b in zip(found, vectors, strict=True))
