"""What is known of each user at the time of a request."""

from typing import Literal

import numpy as np
import polars as pl

from xrec_lightning.data.behavior.augment import Ints
from xrec_lightning.data.behavior.sequences import Histories
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.schema import (
    EXTRA_SEEN,
    HIDDEN,
    HISTORY_END,
    IS_HIDDEN,
    ITEM_INDEX,
    SEEN_END,
    SPLIT,
    TEST,
    TIMESTAMP,
    USER_INDEX,
    VAL,
)

Until = Literal["train", "val", "test", "now"]
"""The training part, what was known when the validation or test target was predicted, or all."""


def known_ends(prepared: Prepared, histories: Histories, until: Until) -> Ints:
    """Return the flat position at which each user's known history ends, shape ``(U,)``."""
    if until == "now":
        return histories.offsets[1:]
    ends = np.array(histories.train_ends)
    if until in (VAL, TEST):
        _move(ends, _own_targets(prepared, VAL), HISTORY_END)
    if until == TEST:
        # What a validation target leaves behind is known, where no test target says better.
        _move(ends, _own_targets(prepared, VAL), SEEN_END)
        _move(ends, _own_targets(prepared, TEST), HISTORY_END)
    return ends


def hidden_taken(prepared: Prepared, histories: Histories, users: Ints, ends: Ints) -> pl.Series:
    """Return the hidden items that each of ``users`` took before the end of what is known.

    Args:
        prepared: The data.
        histories: Its interactions.
        users: Users, counted from 0, shape ``(V,)``.
        ends: Flat position at which the known history of each of them ends, shape ``(V,)``.
    """
    is_all = ends >= histories.offsets[1:][users]
    next_times = histories.times[np.minimum(ends, len(histories.times) - 1)]
    cuts = np.where(is_all, np.iinfo(np.int64).max, next_times)
    asked = pl.DataFrame({USER_INDEX: users + 1, "cut": cuts}).cast({USER_INDEX: pl.Int32})
    hidden = prepared.interactions().filter(pl.col(SPLIT) == HIDDEN).collect()
    taken = asked.join(hidden, on=USER_INDEX).filter(pl.col(TIMESTAMP) < pl.col("cut"))
    lists = taken.group_by(USER_INDEX).agg(pl.col(ITEM_INDEX))
    joined = asked.join(lists, on=USER_INDEX, how="left", maintain_order="left")
    return joined[ITEM_INDEX].fill_null([]).alias(EXTRA_SEEN)


def _own_targets(prepared: Prepared, split: str) -> pl.DataFrame:
    """Return each user's first target that is not hidden."""
    targets = prepared.targets(split).filter(~pl.col(IS_HIDDEN))
    return targets.group_by(USER_INDEX).agg(pl.col(HISTORY_END, SEEN_END).min())


def _move(ends: Ints, targets: pl.DataFrame, column: str) -> None:
    """Set the ends of the users that have a target."""
    ends[targets[USER_INDEX].to_numpy() - 1] = targets[column].to_numpy()
