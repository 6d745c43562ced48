"""Checks that nothing is seen before its time; every shard of every `prepare` ends with them."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.steps.cold import Cold
from xrec_lightning.data.steps.cuts import Cuts
from xrec_lightning.data.steps.order import ORDER
from xrec_lightning.data.steps.runs import Ints

_NEVER = 2**63 - 1


def refuse_leaks(
    events: pl.DataFrame,
    hidden: pl.DataFrame,
    train_ends: Ints,
    targets: Mapping[str, pl.DataFrame],
    by_order: bool,
    *,
    cold: Cold | None = None,
    cuts: Cuts | None = None,
    base: int = 0,
    first_user: int = 1,
) -> None:
    """Raise if a rule of the split is broken in one shard.

    Args:
        events: Events of the store, in flat order.
        hidden: Hidden events.
        train_ends: End of each user's training events, flat positions; the users of the shard.
        targets: Targets of `val` and `test`.
        by_order: Whether equal timestamps have an order, so that times are compared with "at most".
        cold: What is hidden or cold; None where only items are, those of the hidden events.
        cuts: Of methods that cut all users at once.
        base: Flat position of the first event of the shard.
        first_user: Index of the user of the first of ``train_ends``.

    Raises:
        AssertionError: It names the rule.
    """
    users = events[schema.USER_INDEX].to_numpy()
    orders = events[ORDER].to_numpy()
    # Compared, not subtracted: times may be so far apart that their difference overflows.
    falls = (orders[1:] < orders[:-1]) & (users[1:] == users[:-1])
    _check(not falls.any(), "a sequence is not sorted by time")
    is_train = (events[schema.SPLIT] == schema.TRAIN).to_numpy()
    ends = train_ends - base
    in_train = np.arange(len(events)) < ends[users - first_user]
    _check((in_train == is_train).all(), "the training events are not the store's first")
    if cold is None:
        _check_hidden_items(events, hidden, targets)
    else:
        _check_cold(events, targets, cold)
    if cuts is not None:
        _check_cuts(events, targets, cuts)
    for name, rows in targets.items():
        owners = rows[schema.USER_INDEX].to_numpy() - first_user
        _check_times(name, rows, events, ends[owners], base, slack=1 if by_order else 0)


def _check_hidden_items(
    events: pl.DataFrame, hidden: pl.DataFrame, targets: Mapping[str, pl.DataFrame]
) -> None:
    items = hidden[schema.ITEM_INDEX].unique().implode()
    is_hidden = pl.col(schema.ITEM_INDEX).is_in(items)
    _check(events.filter(is_hidden).is_empty(), "a hidden item is in a sequence")
    _check(targets[schema.VAL].filter(is_hidden).is_empty(), "a hidden item is a val target")


def _check_cold(events: pl.DataFrame, targets: Mapping[str, pl.DataFrame], cold: Cold) -> None:
    """Check that what is hidden is in no sequence, and that nothing of a cold user trains."""
    items = events[schema.ITEM_INDEX].to_numpy()
    _check(~cold.items[items].any(), "a hidden item is in a sequence")
    if cold.domain is not None:
        rule = "an event of a hidden domain is in the sequence of its user"
        _check(~cold.hides_domain(events).any(), rule)
    is_cold = cold.users[events[schema.USER_INDEX].to_numpy()]
    is_train = (events[schema.SPLIT] == schema.TRAIN).to_numpy()
    _check(~(is_cold & is_train).any(), "an event of a cold user trains")
    for name, rows in targets.items():
        hides = cold.hides(rows)
        _check(name != schema.VAL or not hides.any(), "a hidden item or domain is a val target")
        is_hidden = rows[schema.IS_HIDDEN].to_numpy()
        _check((hides == is_hidden).all(), f"a {name} target is hidden and not marked so")
    validates = cold.users[targets[schema.VAL][schema.USER_INDEX].to_numpy()]
    _check(~validates.any(), "a cold user has a val target")


def _check_cuts(events: pl.DataFrame, targets: Mapping[str, pl.DataFrame], cuts: Cuts) -> None:
    """Check that training, validation and test keep to their windows, whoever the user is."""
    time = pl.col(schema.TIMESTAMP)
    late = events.filter(pl.col(schema.SPLIT) == schema.TRAIN, time >= cuts.val_from)
    _check(late.is_empty(), "a training event is not earlier than the validation window")
    behind = events.filter(time >= (_NEVER if cuts.until is None else cuts.until))
    _check(behind.is_empty(), "an event behind the windows is in a sequence")
    windows = {
        schema.VAL: (cuts.val_from, cuts.test_from),
        schema.TEST: (cuts.test_from, cuts.until),
    }
    for name, (start, end) in windows.items():
        rows = targets[name].filter(~pl.col(schema.IS_HIDDEN))
        outside = rows.filter((time < start) | (time >= (_NEVER if end is None else end)))
        _check(outside.is_empty(), f"a {name} target is outside its window")


def _check_times(
    name: str, targets: pl.DataFrame, events: pl.DataFrame, train_ends: Ints, base: int, slack: int
) -> None:
    """Check that what precedes each target is its user's, and earlier by at least 1 - slack.

    Args:
        name: `val` or `test`.
        targets: Targets, T in number.
        events: Events of the store.
        train_ends: End of the training events of each target's user, in the shard, shape ``(T,)``.
        base: Flat position of the first event of the shard.
        slack: 1 where equal timestamps have an order.
    """
    times = events[schema.TIMESTAMP].to_numpy()
    users = events[schema.USER_INDEX].to_numpy()
    limits = targets[schema.TIMESTAMP].to_numpy() + slack
    owners = targets[schema.USER_INDEX].to_numpy()
    starts = targets[schema.HISTORY_START].to_numpy() - base
    ends = targets[schema.HISTORY_END].to_numpy() - base
    is_own = (users[starts] == owners) & (users[ends - 1] == owners)
    _check(is_own.all(), f"the history of a {name} target is another user's")
    # Sequences are sorted, so the last event of a part is its latest.
    _check((times[ends - 1] < limits).all(), f"a history reaches its {name} target")
    last_train = train_ends - 1
    is_hidden = targets[schema.IS_HIDDEN].to_numpy()
    has_train = ~is_hidden & (last_train >= starts)
    _check(
        (times[last_train] < limits)[has_train].all(),
        f"a training event is not earlier than the {name} target of its user",
    )


def _check(is_kept: np.bool_ | bool, rule: str) -> None:
    if not is_kept:
        raise AssertionError(f"{rule}: this is an error of `prepare`, the folder is not written")
