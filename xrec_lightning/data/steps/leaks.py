"""Checks that nothing is seen before its time; every `prepare` ends with them."""

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.steps.splits import ORDER


def refuse_leaks(
    events: pl.DataFrame,
    hidden: pl.DataFrame,
    train_ends: np.ndarray,
    targets: dict[str, pl.DataFrame],
    by_order: bool,
) -> None:
    """Raise if a rule of the split is broken.

    Args:
        events: Events of the store, in flat order.
        hidden: Events of hidden items.
        train_ends: End of each user's training events, flat positions.
        targets: Targets of `val` and `test`.
        by_order: Whether equal timestamps have an order, so that times are compared with "at most".

    Raises:
        AssertionError: It names the rule.
    """
    hidden_items = hidden[schema.ITEM_INDEX].unique().to_numpy()
    items = events[schema.ITEM_INDEX].to_numpy()
    users = events[schema.USER_INDEX].to_numpy()
    _check(not np.isin(items, hidden_items).any(), "a hidden item is in a sequence")
    steps = np.diff(events[ORDER].to_numpy())[np.diff(users) == 0]
    _check((steps >= 0).all(), "a sequence is not sorted by time")
    in_train = np.arange(len(events)) < train_ends[users - 1]
    is_train = (events[schema.SPLIT] == schema.TRAIN).to_numpy()
    _check((in_train == is_train).all(), "the training events are not the store's first")
    for name, rows in targets.items():
        is_warm = ~np.isin(rows[schema.ITEM_INDEX].to_numpy(), hidden_items)
        _check(name != schema.VAL or is_warm.all(), "a hidden item is a val target")
        _check_times(name, rows, is_warm, events, train_ends, slack=1 if by_order else 0)


def _check_times(
    name: str,
    targets: pl.DataFrame,
    is_warm: np.ndarray,
    events: pl.DataFrame,
    train_ends: np.ndarray,
    slack: int,
) -> None:
    """Check that what precedes each target is its user's, and earlier by at least 1 - slack."""
    times = events[schema.TIMESTAMP].to_numpy()
    users = events[schema.USER_INDEX].to_numpy()
    limits = targets[schema.TIMESTAMP].to_numpy() + slack
    owners = targets[schema.USER_INDEX].to_numpy()
    starts = targets[schema.HISTORY_START].to_numpy()
    ends = targets[schema.HISTORY_END].to_numpy()
    is_own = (users[starts] == owners) & (users[ends - 1] == owners)
    _check(is_own.all(), f"the history of a {name} target is another user's")
    # Sequences are sorted, so the last event of a part is its latest.
    _check((times[ends - 1] < limits).all(), f"a history reaches its {name} target")
    last_train = train_ends[owners - 1] - 1
    has_train = is_warm & (last_train >= starts)
    _check(
        (times[last_train] < limits)[has_train].all(),
        f"a training event is not earlier than the {name} target of its user",
    )


def _check(is_kept: np.bool_ | bool, rule: str) -> None:
    if not is_kept:
        raise AssertionError(f"{rule}: this is an error of `prepare`, the folder is not written")
