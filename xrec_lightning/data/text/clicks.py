"""Examples of what users chose or rated, users apart."""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.labels import (
    EVERYTHING,
    LABEL,
    LabelConfig,
    chosen_targets,
    event_ratings,
    is_chosen,
)
from xrec_lightning.schema import (
    DOMAIN_INDEX,
    HISTORY_END,
    HISTORY_START,
    ITEM_INDEX,
    TEST,
    TRAIN,
    USER_INDEX,
    VAL,
)

Ints = NDArray[np.integer]


class Examples(NamedTuple):
    """Prompts before they are text: who, which candidate, which history, which answer.

    Those of one choice follow each other: the chosen item, then the negatives. The history of an
    example is the flat positions ``[history_starts, history_ends)``, all strictly earlier than the
    choice. Before negatives are added each example is a choice. E examples.
    """

    user_ids: Ints
    """User indices, shape ``(E,)``."""
    item_ids: Ints
    """Candidates, shape ``(E,)``."""
    domain_ids: Ints
    """Domain of the candidates, shape ``(E,)``."""
    history_starts: Ints
    """Shape ``(E,)``."""
    history_ends: Ints
    """Shape ``(E,)``."""
    labels: NDArray[np.float32]
    """1 where the user chose the candidate, else 0; or the user's rating. Shape ``(E,)``."""

    def select(self, rows: Ints | NDArray[np.bool_]) -> "Examples":
        """Return some of the examples."""
        return Examples(
            self.user_ids[rows],
            self.item_ids[rows],
            self.domain_ids[rows],
            self.history_starts[rows],
            self.history_ends[rows],
            self.labels[rows],
        )


def split_users(num_users: int, held_out: float, seed: int) -> dict[str, NDArray[np.bool_]]:
    """Return which users are of ``train``, ``val`` and ``test``, masks of shape ``(U + 1,)``.

    Args:
        num_users: Users have indices 1 to ``num_users``.
        held_out: Share of the users of validation, and of test.
        seed: Seed of the split.
    """
    draws = np.random.default_rng(seed).random(num_users + 1)
    is_val, is_test = draws < held_out, (draws >= held_out) & (draws < 2 * held_out)
    return {TRAIN: ~(is_val | is_test), VAL: is_val, TEST: is_test}


def training_choices(
    prepared: Prepared, is_user: NDArray[np.bool_], labels: LabelConfig = EVERYTHING
) -> Examples:
    """Return the training events of some users that are choices and have a strictly earlier one.

    Args:
        prepared: A prepared data set.
        is_user: Which users count, shape ``(U + 1,)``.
        labels: What is a choice; histories hold all events.
    """
    offsets, times = np.asarray(prepared.offsets), np.asarray(prepared.times)
    users = np.repeat(np.arange(1, len(offsets)), np.diff(offsets))
    positions = np.arange(len(times))
    starts = offsets[users - 1]
    is_new_time = (positions == starts) | (np.diff(times, prepend=times[:1]) != 0)
    ends = np.maximum.accumulate(np.where(is_new_time, positions, 0))
    is_training = positions < np.asarray(prepared.train_ends)[users - 1]
    is_training &= is_chosen(prepared, labels)
    rows = np.flatnonzero(is_training & (ends > starts) & is_user[users])
    items, domains = np.asarray(prepared.item_ids), np.asarray(prepared.domain_ids)
    answers = np.ones(len(rows), dtype=np.float32)
    if labels.answer == "rating":
        answers = event_ratings(prepared)[rows]
    return Examples(users[rows], items[rows], domains[rows], starts[rows], ends[rows], answers)


def target_choices(
    prepared: Prepared,
    split: str,
    is_user: NDArray[np.bool_],
    labels: LabelConfig = EVERYTHING,
) -> Examples:
    """Return the targets of a split of some users that are choices and have a history."""
    targets = chosen_targets(prepared, split, labels)
    targets = targets.filter(pl.col(HISTORY_END) > pl.col(HISTORY_START))
    names = (USER_INDEX, ITEM_INDEX, DOMAIN_INDEX, HISTORY_START, HISTORY_END)
    users, items, domains, starts, ends = (
        targets[name].to_numpy().astype(np.int64) for name in names
    )
    choices = Examples(users, items, domains, starts, ends, targets[LABEL].to_numpy())
    return choices.select(is_user[choices.user_ids])
