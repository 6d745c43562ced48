import numpy as np
import pytest
import torch
from sklearn.metrics import ndcg_score

from xrec_lightning.metrics.retrieval import PairRetrieval


def test_figures_equal_scikit_learn_when_all_items_differ() -> None:
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, 30, 5, generator=generator)
    metric = PairRetrieval(top_k=10)
    for rows in (slice(0, 17), slice(17, 30)):
        ids = torch.arange(30)[rows]
        metric.update(left[rows], right[rows], ids, ids + 100)
    normal = torch.nn.functional.normalize
    scores = (normal(left, dim=1) @ normal(right, dim=1).T).numpy()
    expected = ndcg_score(np.eye(30), scores, k=10)
    assert metric.compute()["ndcg@10"].item() == pytest.approx(expected, rel=1e-5)


def test_items_count_once_and_a_query_never_finds_itself() -> None:
    metric = PairRetrieval(top_k=1)
    left = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    right = torch.tensor([[0.6, 0.8], [0.6, 0.8], [1.0, 0.0]])
    # Item 9 is the right side of two pairs; item 1 is both a query and the nearest candidate.
    metric.update(left, right, torch.tensor([1, 1, 2]), torch.tensor([9, 9, 1]))
    figures = metric.compute()
    # Queries 1 see candidate 9 only; query 2 prefers 9 to 1.
    assert figures["recall@1"].item() == pytest.approx(2 / 3)
