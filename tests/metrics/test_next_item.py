import math
from typing import Any

import pytest
import torch

from xrec_lightning.batches import (
    Catalog,
    ItemTextBatch,
    SequenceBatch,
    TextBatch,
    WeightedTargets,
)
from xrec_lightning.metrics.next_item import NextItemRetrieval

# Items 1 and 2 share a text, 5 has none; 1, 2, 3, 5 are books, 3, 4 are films.
CATALOG = Catalog(
    fingerprint="tiny",
    domains=("books", "films"),
    slices=("cold",),
    num_users=2,
    num_items=6,
    train_counts=torch.ones(7, dtype=torch.int64),
    candidates=(torch.tensor([1, 2, 3, 5]), torch.tensor([3, 4])),
)
VECTORS = torch.tensor([[2.0, 0.0], [0.0, 3.0], [4.0, 4.0], [0.0, -1.0]])  # of items 1, 3, 4, 6
NO_TEXT = TextBatch(torch.zeros(0, 1), torch.zeros(0, 1))


def add_items(metric: NextItemRetrieval, **changes: Any) -> None:
    batch = ItemTextBatch(
        texts=NO_TEXT,
        text_ids=torch.tensor([1, 3, 4, 6]),
        item_ids=torch.tensor([1, 2, 3, 4, 6, 5]),
        leader_ids=torch.tensor([1, 1, 3, 4, 6, 0]),
        is_candidate=torch.tensor([True, True, True, True, False, True]),
    )._replace(**changes)
    metric.add_items(VECTORS, batch)


def targets(
    histories: list[list[int]],
    weights: list[list[float]],
    target_ids: list[int],
    domain_ids: list[int],
    seen_ids: list[list[int]],
    is_cold: list[bool],
) -> WeightedTargets:
    item_ids = torch.tensor(histories)
    sequences = SequenceBatch(
        user_ids=torch.ones(len(histories), dtype=torch.int64),
        item_ids=item_ids,
        domain_ids=item_ids,
        times=item_ids,
        target_ids=torch.tensor(target_ids)[:, None],
        target_domain_ids=torch.tensor(domain_ids)[:, None],
        target_weights=torch.ones(len(histories), 1),
        state_positions=torch.zeros(len(histories), 1, dtype=torch.int64),
        disliked_ids=item_ids[:, :0],
        seen_ids=torch.tensor(seen_ids),
        slice_mask=torch.tensor(is_cold)[:, None],
        row_ids=torch.arange(len(histories)),
    )
    return WeightedTargets(sequences, torch.tensor(weights))


def test_ranks_worked_by_hand() -> None:
    metric = NextItemRetrieval(CATALOG, probe=False)
    add_items(metric)
    # Item 4 alone: 1, 2 and 3 are as near (cosine .7), so the target 3 is third of four.
    # Item 4 with 6 of weight 0: the same, but 1 was seen, so 3 is second.
    metric.add_targets(
        targets([[4, 0], [4, 6]], [[1, 0], [1, 0]], [3, 3], [1, 1], [[0], [1]], [False, True])
    )
    # (0, 1) + (0, -1) / 2 points to 3: among the films it is first.
    metric.add_targets(targets([[6, 3]], [[0.5, 1.0]], [3], [2], [[0]], [False]))
    # Item 5 has no text: it comes last, after 1 and 2 and 3.
    metric.add_targets(targets([[3, 0]], [[1, 0]], [5], [1], [[0]], [False]))
    figures = {name: value.item() for name, value in metric.compute(0.5).items()}
    assert figures["mrr@10"] == pytest.approx((1 / 3 + 1 / 2 + 1 + 1 / 4) / 4)
    assert figures["mrr@10/films"] == 1.0
    assert figures["mrr@10/cold"] == 0.5
    assert figures["ndcg@10/books"] == pytest.approx(
        (1 / 2 + 1 / math.log2(3) + 1 / math.log2(5)) / 3
    )
    near = math.exp(math.sqrt(0.5) / 0.5)
    none = math.exp(-2 / 0.5)
    losses = [
        -math.log(near / (3 * near + none)),
        -math.log(near / (2 * near + none)),
        -math.log(math.exp(2.0) / (math.exp(2.0) + near)),
        -math.log(none / (2 * 1.0 + math.exp(2.0) + none)),
    ]
    assert figures["loss"] == pytest.approx(sum(losses) / 4, rel=1e-4)


def test_drawn_candidates_are_named_and_others_not_ranked() -> None:
    metric = NextItemRetrieval(CATALOG, probe=False)
    drawn = torch.tensor([False, True, True, False, False, False])
    add_items(metric, is_candidate=drawn, sample_size=2)
    metric.add_targets(targets([[4]], [[1.0]], [3], [1], [[0]], [True]))
    figures = metric.compute(0.5)
    assert figures["mrr@10[of=2]"] == 0.5  # item 2 is as near, 1 and 5 were not drawn
    assert {"loss[of=2]", "mrr@10[of=2]/books", "mrr@10[of=2]/cold"} <= figures.keys()
    assert not any(name.partition("/")[0] == "mrr@10" for name in figures)


def test_without_targets_there_are_no_figures() -> None:
    metric = NextItemRetrieval(CATALOG)
    add_items(metric)
    assert metric.compute(0.5) == {}
    metric.reset()
    add_items(metric)
    metric.add_targets(targets([[4]], [[1.0]], [3], [1], [[0]], [True]))
    assert metric.compute(0.5)["mrr@10"] == 1 / 3


def test_the_probe_sees_each_text_of_one_domain_once() -> None:
    catalog = CATALOG._replace(
        num_items=80,
        candidates=(torch.arange(1, 41), torch.arange(41, 81)),
        train_counts=torch.ones(81, dtype=torch.int64),
    )
    item_ids = torch.arange(1, 81)
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(80, 3, generator=generator) * 0.1
    for distance, expected in ((1.0, 1.0), (0.0, 0.5)):
        metric = NextItemRetrieval(catalog)
        moved = vectors + distance * torch.where(item_ids <= 40, 1.0, -1.0)[:, None]
        metric.add_items(
            moved, ItemTextBatch(NO_TEXT, item_ids, item_ids, item_ids, torch.ones(80).bool())
        )
        metric.add_targets(targets([[4]], [[1.0]], [3], [1], [[0]], [True]))
        found = metric.compute(0.5)["domain_probe"].item()
        assert found == pytest.approx(expected, abs=0.2)


def test_one_domain_is_not_probed() -> None:
    metric = NextItemRetrieval(
        CATALOG._replace(domains=("books",), candidates=CATALOG.candidates[:1])
    )
    add_items(metric)
    metric.add_targets(targets([[4]], [[1.0]], [3], [1], [[0]], [True]))
    assert "domain_probe" not in metric.compute(0.5)
