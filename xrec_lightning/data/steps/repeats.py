"""Rows that say the same twice, and events of a user with an item that they had before."""

from typing import Literal

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.steps.clean import flag_rows
from xrec_lightning.data.steps.order import CONTENT, ORDER
from xrec_lightning.data.steps.runs import Ints, begins_run, find_runs, has_equal_neighbor

DUPLICATE = "exact duplicate of another row"
REPEAT = "the user has an earlier event with this item"
REPEATED = "the user has a later event with this item"


def flag_duplicates(interactions: pl.DataFrame) -> pl.DataFrame:
    """Return the interactions with a `reason` on all but the first of equal rows.

    Args:
        interactions: Interactions in flat order.
    """
    is_dropped = np.zeros(len(interactions), dtype=bool)
    rows = _find_suspects(interactions)
    equal_in = [schema.USER_INDEX, schema.ITEM_INDEX, schema.TIMESTAMP, *CONTENT]
    columns = [name for name in equal_in if name in interactions.columns]
    suspects = interactions[rows].select(columns)
    is_dropped[rows] = ~suspects.select(pl.struct(columns).is_first_distinct()).to_series()
    return flag_rows(interactions, {DUPLICATE: is_dropped})


def flag_repeats(
    interactions: pl.DataFrame, repeats: Literal["drop", "last", "keep"]
) -> pl.DataFrame:
    """Return the interactions with a `reason` on all but one of a user's events with an item.

    Args:
        interactions: Interactions in flat order.
        repeats: Which one is kept: with `drop` the first, with `last` the last, with `keep` all.
    """
    if repeats == "keep":
        return flag_rows(interactions, {})
    users, items = (
        interactions[name].to_numpy() for name in (schema.USER_INDEX, schema.ITEM_INDEX)
    )
    keys = (users.astype(np.int64) << 32) | items
    places = np.argsort(keys)
    starts = find_runs(begins_run(keys[places])).starts
    choose, reason = (np.minimum, REPEAT) if repeats == "drop" else (np.maximum, REPEATED)
    is_dropped = np.ones(len(keys), dtype=bool)
    is_dropped[choose.reduceat(places, starts)] = False
    return flag_rows(interactions, {reason: is_dropped})


def _find_suspects(interactions: pl.DataFrame) -> Ints:
    """Return the positions of those that share user, time and item with another one, ascending."""
    users, items, times = (
        interactions[name].to_numpy()
        for name in (schema.USER_INDEX, schema.ITEM_INDEX, schema.TIMESTAMP)
    )
    if interactions[ORDER].equals(interactions[schema.TIMESTAMP]):
        # Ties are in the order of a hash of user and item, so that those alike are neighbors.
        return np.flatnonzero(has_equal_neighbor(users, times, items))
    tied = np.flatnonzero(has_equal_neighbor(users, times))
    moments = np.cumsum(begins_run(users[tied], times[tied]))
    keys = (moments << 32) | items[tied]
    places = np.argsort(keys)
    return np.sort(tied[places[has_equal_neighbor(keys[places])]])
