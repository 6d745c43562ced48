import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from xrec_lightning.batches import Catalog, JointPromptBatch, RatingScale, TextBatch
from xrec_lightning.models.language.tower import LanguageTower, TowerConfig
from xrec_lightning.modules.tasks.choice import ChoiceTask
from xrec_lightning.modules.tasks.prompts import AnyPromptBatch

CATALOG = Catalog(
    fingerprint="toy",
    domains=("tea", "pots"),
    slices=(),
    num_users=1,
    num_items=4,
    train_counts=torch.tensor([0, 5, 1, 3, 2]),
    candidates=(torch.tensor([1, 2]), torch.tensor([3, 4])),
)


class GivenLogits(ChoiceTask):
    """Say the first token of each prompt."""

    def forward(self, tower: LanguageTower, batch: AnyPromptBatch) -> Tensor:
        assert isinstance(batch, JointPromptBatch)
        return batch.prompt.token_ids[:, 0].float()


def prompts(logits: list[int], knn: list[float] | None = None) -> JointPromptBatch:
    text = TextBatch(torch.tensor(logits)[:, None], torch.ones(len(logits), 1, dtype=torch.bool))
    ids = torch.tensor([1, 2, 3, 4])
    return JointPromptBatch(
        text,
        labels=torch.tensor([1.0, 0.0, 1.0, 0.0]),
        user_ids=torch.ones(4, dtype=torch.int64),
        item_ids=ids,
        domain_ids=torch.tensor([1, 1, 2, 2]),
        group_ids=torch.tensor([0, 0, 1, 1]),
        references=None if knn is None else torch.tensor(knn)[:, None],
    )


@pytest.fixture
def tower(tiny_language: str) -> LanguageTower:
    return TowerConfig(model=tiny_language).build()


def test_the_test_reports_what_needs_no_head(tower: LanguageTower) -> None:
    task = GivenLogits(CATALOG._replace(references=("text_knn",)))
    task.evaluate(tower, prompts([2, -1, -3, 1], [0.1, 0.2, 0.9, 0.1]))
    figures = {name: value.item() for name, value in task.report(detailed=True).items()}
    labels = [1, 0, 1, 0]
    assert figures["auc"] == roc_auc_score(labels, [2, -1, -3, 1]) == 0.5
    assert (figures["auc/tea"], figures["auc/pots"]) == (1, 0)
    assert figures["auc_popularity"] == roc_auc_score(labels, [5, 1, 3, 2]) == 1
    assert figures["auc_text_knn"] == roc_auc_score(labels, [0.1, 0.2, 0.9, 0.1]) == 0.625
    assert (figures["auc_text_knn/tea"], figures["auc_text_knn/pots"]) == (0, 1)


def test_without_a_store_nothing_is_said_of_text_knn_and_batches_are_forgotten(
    tower: LanguageTower,
) -> None:
    task = GivenLogits(CATALOG)
    task.evaluate(tower, prompts([2, -1, -3, 1]))
    task.report(detailed=True)
    task.evaluate(tower, prompts([2, 1, 3, 1]))
    figures = task.report(detailed=True)
    assert figures["auc"] == 1
    assert not any("text_knn" in name for name in figures)
    task.evaluate(tower, prompts([2, 1, 3, 1]))
    assert not any("/" in name or "popularity" in name for name in task.report(detailed=False))


def test_prompts_for_ratings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"learns choices, .*labels\.answer to choice"):
        GivenLogits(CATALOG._replace(ratings=RatingScale(3.0, 1.0)))
