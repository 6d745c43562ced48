import pytest
import torch

from xrec_lightning.batches import Catalog, JointPromptBatch, PromptBatch, TextBatch
from xrec_lightning.models.heads.click import ClickConfig, ClickHeadConfig, JointClickConfig
from xrec_lightning.models.language.tower import LanguageTower, TowerConfig
from xrec_lightning.modules.tasks.prompts import choice_head, prompt_vectors


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


CATALOG = Catalog("toy", ("tea",), (), 1, 1, torch.zeros(2), (torch.tensor([1]),))


def test_the_head_fits_the_prompts() -> None:
    joint = CATALOG._replace(prompt_texts=1)
    assert choice_head(None, CATALOG) == ClickConfig()
    assert choice_head(None, joint) == JointClickConfig()
    given = JointClickConfig(hidden_dim=3)
    assert choice_head(given, joint) is given


@pytest.mark.parametrize(("head", "texts"), [(ClickConfig(), 1), (JointClickConfig(), 2)])
def test_a_head_for_other_prompts_is_refused(head: ClickHeadConfig, texts: int) -> None:
    name, reads = type(head).__name__, head.texts
    with pytest.raises(ValueError, match=f"{name} reads prompts of {reads} texts, .* have {texts}"):
        choice_head(head, CATALOG._replace(prompt_texts=texts))
