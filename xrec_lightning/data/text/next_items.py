"""Training events as "the newest items of a history, then the next one", with texts."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset
from typing_extensions import override

from xrec_lightning.batches import NextItemBatch
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.clicks import Examples, training_choices
from xrec_lightning.data.text.distinct import DistinctTexts, TokenizedItems
from xrec_lightning.data.text.domain_batches import log_shares

Ints = NDArray[np.integer]
Floats = NDArray[np.floating]


class HistoryMean(NamedTuple):
    """How the newest items of a history become one vector."""

    items: int
    """Newest items that count."""
    decay: float
    """Weight of an item relative to the next newer one."""


def read_next_items(prepared: Prepared, texts: DistinctTexts, mean: HistoryMean) -> Examples:
    """Return the training events of items with text that follow on items with text.

    What precedes is strictly earlier, so that no order within equal times is believed.

    Raises:
        ValueError: If there are none.
    """
    events = training_choices(prepared, np.ones(len(prepared.offsets), dtype=bool))
    histories = newest_items(events, np.asarray(prepared.item_ids), mean.items)
    has_text = texts.row_of >= 0
    kept = events.select(has_text[events.item_ids] & has_text[histories].any(axis=1))
    if len(kept.item_ids) == 0:
        raise ValueError(
            f"{prepared.folder}: no training event of an item with text has a strictly earlier one "
            "with text; give more items a text, or a longer log"
        )
    return kept


def newest_items(events: Examples, item_ids: Ints, count: int) -> Ints:
    """Return the newest items of each event's history, newest first, right-padded with 0.

    Args:
        events: E events.
        item_ids: All items of all users, shape ``(N,)``.
        count: Items of a history.

    Returns:
        Int64, shape ``(E, count)``.
    """
    positions = events.history_ends[:, None] - 1 - np.arange(count)
    is_there = positions >= events.history_starts[:, None]
    return np.where(is_there, item_ids[np.maximum(positions, 0)], 0).astype(np.int64)


class NextItems(Dataset[NextItemBatch]):
    """Events with the texts of their items and histories, a batch at a time.

    Args:
        events: E events, those that `read_next_items` returns.
        item_ids: All items of all users, shape ``(N,)``.
        source: The texts of the items.
        mean: How histories become vectors.
        seen_items: Newest items of a history that are no negatives of it.
        weights: Events are drawn in proportion to them, shape ``(E,)``.
        group_ids: And only with events of the same group, shape ``(E,)``.
    """

    def __init__(
        self,
        events: Examples,
        item_ids: Ints,
        source: TokenizedItems,
        mean: HistoryMean,
        seen_items: int,
        weights: Floats,
        group_ids: Ints,
    ) -> None:
        self.events = events
        self.item_ids = item_ids
        self.texts, self.tokens, self.padding = source
        self.mean = mean
        self.seen_items = max(seen_items, mean.items)
        self.weights = weights
        self.group_ids = group_ids
        self.log_q = log_shares(group_ids, self.texts.row_of[events.item_ids], weights)

    def __len__(self) -> int:
        return len(self.events.item_ids)

    @override
    def __getitem__(self, rows: Ints) -> NextItemBatch:
        """Return the batch of the events ``rows``."""
        events = self.events.select(rows)
        seen = newest_items(events, self.item_ids, self.seen_items)
        histories = self.texts.row_of[seen[:, : self.mean.items]]  # (B, H), -1 without text
        targets = self.texts.row_of[events.item_ids]
        weights = self.mean.decay ** np.arange(self.mean.items) * (histories >= 0)
        used = np.where(histories >= 0, histories, targets[:, None])
        wanted, places = np.unique(np.column_stack([used, targets]), return_inverse=True)
        places = places.reshape(len(targets), -1)
        return NextItemBatch(
            user_ids=_ids(events.user_ids),
            texts=self.tokens.batch(wanted, self.padding),
            text_domain_ids=_ids(self.texts.domain_ids[wanted]),
            history_rows=_ids(places[:, :-1]),
            history_weights=torch.from_numpy(weights).float(),
            seen_ids=_ids(self.texts.leaders[seen]),
            target_rows=_ids(places[:, -1]),
            target_ids=_ids(self.texts.item_ids[targets]),
            target_domain_ids=_ids(events.domain_ids),
            target_log_q=torch.from_numpy(self.log_q[rows]),
        )


def _ids(values: Ints) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))
