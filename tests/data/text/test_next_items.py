from pathlib import Path

import numpy as np
import pytest
import torch

from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.clicks import Examples
from xrec_lightning.data.text.distinct import DistinctTexts, TokenizedItems, read_texts
from xrec_lightning.data.text.next_items import (
    HistoryMean,
    NextItems,
    newest_items,
    read_next_items,
)
from xrec_lightning.data.text.tokenize import TokenizedTexts

# Items 1 and 3 share a text, item 4 has none.
TEXTS = DistinctTexts(
    texts=["mug", "pot", "cup"],
    item_ids=np.array([1, 2, 5]),
    domain_ids=np.array([2, 1, 0]),
    row_of=np.array([-1, 0, 1, 0, -1, 2]),
)
TOKENS = TokenizedTexts(np.array([7, 8, 9, 6], dtype=np.int32), np.array([0, 1, 3, 4]))
ITEM_IDS = np.array([3, 4, 2, 5, 1, 2], dtype=np.int32)  # of two users: four events, then two
EVENTS = Examples(
    user_ids=np.array([1, 1, 2]),
    item_ids=np.array([2, 5, 2]),
    domain_ids=np.array([1, 2, 1]),
    history_starts=np.array([0, 0, 4]),
    history_ends=np.array([2, 3, 5]),
    labels=np.ones(3, dtype=np.float32),
)


def next_items(seen_items: int = 5, group_ids: tuple[int, ...] = (1, 2, 1)) -> NextItems:
    source = TokenizedItems(TEXTS, TOKENS, padding=0)
    mean = HistoryMean(items=2, decay=0.5)
    groups = np.array(group_ids)
    return NextItems(EVENTS, ITEM_IDS, source, mean, seen_items, np.ones(3), groups)


def test_histories_are_newest_first_and_padded() -> None:
    found = newest_items(EVENTS, ITEM_IDS, 3)
    assert found.tolist() == [[4, 3, 0], [2, 4, 3], [1, 0, 0]]


def test_a_batch_holds_each_text_once_and_says_who_has_it() -> None:
    batch = next_items()[np.array([0, 1, 2])]
    words = [TEXTS.texts[[7, 8, 6].index(int(first))] for first in batch.texts.token_ids[:, 0]]
    assert sorted(words) == ["cup", "mug", "pot"]
    weighted = [
        [(words[row], weight) for row, weight in zip(*each, strict=True) if weight > 0]
        for each in zip(batch.history_rows.tolist(), batch.history_weights.tolist(), strict=True)
    ]
    # The newest item of the first history and the second of the second one have no text.
    assert weighted == [[("mug", 0.5)], [("pot", 1.0)], [("mug", 1.0)]]
    assert [words[row] for row in batch.target_rows] == ["pot", "cup", "pot"]
    assert [batch.text_domain_ids[words.index(word)].item() for word in TEXTS.texts] == [2, 1, 0]


def test_ids_are_those_of_the_first_item_of_a_text() -> None:
    batch = next_items()[np.array([1, 2])]
    assert batch.user_ids.tolist() == [1, 2]
    assert batch.target_ids.tolist() == [5, 2]
    assert batch.target_domain_ids.tolist() == [2, 1]
    assert batch.seen_ids.tolist() == [[2, 0, 1, 0, 0], [1, 0, 0, 0, 0]]
    assert next_items(seen_items=1)[np.array([1])].seen_ids.tolist() == [[2, 0]]


def test_shares_of_draws_are_those_of_texts() -> None:
    assert next_items()[np.array([0, 1])].target_log_q.exp().tolist() == pytest.approx([1.0, 1.0])
    mixed = next_items(group_ids=(0, 0, 0))[np.array([0, 1])]
    assert mixed.target_log_q.exp().tolist() == pytest.approx([2 / 3, 1 / 3])


def test_events_follow_strictly_earlier_ones_of_the_training_part(tiny_dataset: Path) -> None:
    prepared = Prepared.open(locate(tiny_dataset))
    texts = read_texts(prepared)
    events = read_next_items(prepared, texts, HistoryMean(items=2, decay=0.5))
    assert len(events.item_ids) > 50
    assert (texts.row_of[events.item_ids] >= 0).all()
    ends, users = events.history_ends, events.user_ids
    times, item_ids = np.asarray(prepared.times), np.asarray(prepared.item_ids)
    train_ends, offsets = np.asarray(prepared.train_ends), np.asarray(prepared.offsets)
    for event in range(len(users)):
        own = slice(offsets[users[event] - 1], train_ends[users[event] - 1])
        when = times[own][item_ids[own] == events.item_ids[event]]
        assert len(when) == 1
        assert times[ends[event] - 1] < when[0]
        assert ends[event] == own.start + (times[own] < when[0]).sum()


def test_data_without_such_events_are_refused(tiny_dataset: Path) -> None:
    prepared = Prepared.open(locate(tiny_dataset))
    texts = read_texts(prepared)
    textless = texts._replace(row_of=np.full_like(texts.row_of, -1))
    with pytest.raises(ValueError, match="strictly earlier one with text; give more items"):
        read_next_items(prepared, textless, HistoryMean(items=2, decay=0.5))


def test_the_weighted_mean_is_one_of_texts_that_exist() -> None:
    batch = next_items()[np.arange(3)]
    assert batch.history_rows.max() < len(batch.text_domain_ids)
    assert batch.history_rows.dtype == torch.int64
    assert (batch.history_weights.sum(dim=1) > 0).all()
