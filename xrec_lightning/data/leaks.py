"""Checks that nothing is seen before its time; every `prepare` ends with them."""

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.splits import ORDER


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
    times = events[schema.TIMESTAMP].to_numpy()
    users = events[schema.USER_INDEX].to_numpy()
    _check(not np.isin(items, hidden_items).any(), "a hidden item is in a sequence")
    in_train = np.arange(len(events)) < train_ends[users - 1]
    is_train = (events[schema.SPLIT] == schema.TRAIN).to_numpy()
    _check(bool((in_train == is_train).all()), "the training events are not the store's first")
    slack = 1 if by_order else 0
    for name, rows in targets.items():
        target_times = rows[schema.TIMESTAMP].to_numpy() + slack
        starts, ends = rows[schema.HISTORY_START].to_numpy(), rows[schema.HISTORY_END].to_numpy()
        owners = rows[schema.USER_INDEX].to_numpy()
        _check(
            bool((users[starts] == owners).all() and (users[ends - 1] == owners).all()),
            f"the history of a {name} target is another user's",
        )
        # The store is sorted by time, so the last event of a part is its latest.
        _check(bool((times[ends - 1] < target_times).all()), f"a {name} history reaches its target")
        is_warm = ~np.isin(rows[schema.ITEM_INDEX].to_numpy(), hidden_items)
        last_train = train_ends[owners - 1] - 1
        has_train = is_warm & (last_train >= starts)
        _check(
            bool((times[last_train] < target_times)[has_train].all()),
            f"a training event is not earlier than the {name} target of its user",
        )
        _check(name != schema.VAL or bool(is_warm.all()), "a hidden item is a val target")
    _check(
        bool((np.diff(events[ORDER].to_numpy())[np.diff(users) == 0] >= 0).all()),
        "a sequence is not sorted by time",
    )


def _check(is_kept: bool, rule: str) -> None:
    if not is_kept:
        raise AssertionError(f"{rule}: this is an error of `prepare`, the folder is not written")
