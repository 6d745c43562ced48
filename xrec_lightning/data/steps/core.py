"""The core: users and items that all have enough training events with each other."""

from typing import NamedTuple

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.steps.clean import OUTSIDE_CORE, flag_rows
from xrec_lightning.data.steps.cold import Cold
from xrec_lightning.data.steps.runs import Bools, Ints
from xrec_lightning.data.steps.splits import ROLE

_CHUNK = 1 << 22
"""Numbers counted at once: they are widened to 8 bytes while they are."""


class Core(NamedTuple):
    """What is kept. U users, I items, G groups of a user's events: domains, or one for all."""

    users: Bools
    """Shape ``(U, G)``."""
    items: Bools
    """Shape ``(I,)``."""


class TrainingPairs(NamedTuple):
    """Users and items of the training events of a shard, or of the whole log; N of them."""

    users: Ints
    """Shape ``(N,)``, int32."""
    items: Ints
    """Shape ``(N,)``, int32."""
    groups: Ints | None
    """Shape ``(N,)``, domains; None where all events of a user count together."""


def training_pairs(events: pl.DataFrame, by_domain: bool) -> TrainingPairs:
    """Return what the core of the whole log needs of one shard; `core_masks` takes them joined.

    Args:
        events: Events with their `role`.
        by_domain: Whether the events of a user count in each domain for itself.
    """
    is_train = events[ROLE] == schema.TRAIN
    users, items, domains = (
        events[name].filter(is_train).to_numpy()
        for name in (schema.USER_INDEX, schema.ITEM_INDEX, schema.DOMAIN_INDEX)
    )
    return TrainingPairs(users, items, domains if by_domain else None)


def core_masks(
    users: Ints,
    items: Ints,
    groups: Ints | None,
    k_core: int,
    *,
    num_users: int,
    num_items: int,
    num_groups: int = 1,
) -> Core:
    """Return the users, in each group, and the items of the core.

    What has fewer than ``k_core`` events among what is left is dropped, until nothing changes.

    Args:
        users: User of each training event of the whole log, shape ``(N,)``.
        items: Item of each, shape ``(N,)``.
        groups: Group in which each counts for its user, shape ``(N,)``; None for one group.
        k_core: Least number of events.
        num_users: More than the largest user.
        num_items: More than the largest item.
        num_groups: More than the largest group.
    """
    keys = users
    if groups is not None:
        wide = np.int64 if num_users * num_groups >= 2**31 else np.int32
        keys = np.add(users.astype(wide) * num_groups, groups, dtype=wide)
    size = -1
    while size != len(keys):
        size = len(keys)
        kept_keys = _count(keys, num_users * num_groups) >= k_core
        keys, items = _keep(kept_keys[keys], keys, items)
        kept_items = _count(items, num_items) >= k_core
        keys, items = _keep(kept_items[items], keys, items)
    return Core(kept_keys.reshape(num_users, num_groups), kept_items)


def flag_outside_core(events: pl.DataFrame, core: Core, cold: Cold | None = None) -> pl.DataFrame:
    """Return the events with a `reason` on those of users and items with too few training events.

    Items that are hidden and users that are cold have no training events and stay; an event of a
    hidden domain stays if its user does in any other.

    Args:
        events: Events with their `role`.
        core: What is kept.
        cold: What is hidden or cold.
    """
    users, items = (events[name].to_numpy() for name in (schema.USER_INDEX, schema.ITEM_INDEX))
    is_hidden = (events[ROLE] == schema.HIDDEN).to_numpy()
    by_domain = core.users.shape[1] > 1
    groups = events[schema.DOMAIN_INDEX].to_numpy() if by_domain else np.zeros_like(users)
    is_anywhere: Bools = np.logical_or.reduce(core.users, axis=1)
    has_user = core.users[users, groups] | (is_hidden & is_anywhere[users])
    has_item = core.items[items]
    if cold is not None:
        has_user |= cold.users[users]
        has_item |= cold.items[items]
    return flag_rows(events, {OUTSIDE_CORE: ~(has_user & has_item)})


def _count(keys: Ints, length: int) -> Ints:
    counts = np.zeros(length, dtype=np.int64)
    for start in range(0, len(keys), _CHUNK):
        counts += np.bincount(keys[start : start + _CHUNK], minlength=length)
    return counts


def _keep(is_kept: Bools, *columns: Ints) -> tuple[Ints, ...]:
    return columns if is_kept.all() else tuple(column[is_kept] for column in columns)
