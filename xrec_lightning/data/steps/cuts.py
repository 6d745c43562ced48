"""The times that cut the whole log into training, validation and test."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.steps import SplitConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.times import parse_time
from xrec_lightning.data.steps.clean import flag_rows
from xrec_lightning.data.steps.runs import Ints

LATE = "later than the window that tests"
GLOBAL_METHODS = ("global_time", "folds")
"""Methods of the split that cut all users at the same times."""

_SECONDS_A_DAY = 86_400


class Cuts(NamedTuple):
    """Times in seconds; training comes before all of them."""

    val_from: int
    """First validation time."""
    test_from: int
    """First test time."""
    until: int | None = None
    """First time that is not used at all, None where all later events test."""


def needed_times(events: pl.DataFrame, config: SplitConfig) -> Ints:
    """Return the times of one shard that `find_cuts` needs: all, the first and last, or none.

    Args:
        events: Interactions of the shard after the cleaning.
        config: Method of the split.
    """
    times = events[schema.TIMESTAMP].to_numpy()
    if config.method == "folds":
        return np.array([times.min(), times.max()]) if len(times) else times
    needs_all = config.method == "global_time" and config.val_from is None
    return times if needs_all else times[:0]


def find_cuts(times: Sequence[Ints], config: SplitConfig) -> Cuts | None:
    """Return the cuts of the whole log, None where the split has none.

    Args:
        times: What `needed_times` returns for each shard.
        config: Method of the split and its settings.

    Raises:
        InputError: If given cuts are no times in order, no interaction is left, or no training
            time precedes the fold.
    """
    if config.method not in GLOBAL_METHODS:
        return None
    given = given_cuts(config)
    if given is not None:
        return given
    all_times = np.concatenate(times)
    if not len(all_times):
        raise InputError(
            f"split.method: {config.method}: the cleaning leaves no interaction to cut; loosen "
            "`clean` or `events`"
        )
    if config.method == "folds":
        return _fold(int(all_times.min()), int(all_times.max()), config)
    shares = (config.val_share + config.test_share, config.test_share)
    return Cuts(*(_time_at(all_times, share) for share in shares))


def given_cuts(config: SplitConfig) -> Cuts | None:
    """Return the cuts that the config gives as times, None where it gives none.

    Raises:
        InputError: If they are no times in order.
    """
    if config.method != "global_time" or config.val_from is None or config.test_from is None:
        return None
    val, test = parse_time(config.val_from), parse_time(config.test_from)
    if val is None or test is None or val >= test:
        raise InputError(
            f"split.val_from: {config.val_from} and split.test_from: {config.test_from} are no "
            "times in this order; give seconds since 1970 or ISO dates"
        )
    return Cuts(val, test)


def flag_late(events: pl.DataFrame, cuts: Cuts | None) -> pl.DataFrame:
    """Return the events with a `reason` on those behind the window that tests."""
    if cuts is None or cuts.until is None:
        return flag_rows(events, {})
    return flag_rows(events, {LATE: events[schema.TIMESTAMP].to_numpy() >= cuts.until})


def _fold(first: int, last: int, config: SplitConfig) -> Cuts:
    width = max(1, round(config.fold_days * _SECONDS_A_DAY))
    # The last event of the log is in the last window.
    until = last + 1 - config.fold * width
    if until - 2 * width <= first:
        days = (last - first) / _SECONDS_A_DAY
        raise InputError(
            f"split.fold: {config.fold} with split.fold_days: {config.fold_days}: the windows that "
            f"validate and test reach back to before the log, which has {days:.1f} days, so that "
            "nothing trains; lower either"
        )
    return Cuts(until - 2 * width, until - width, until)


def _time_at(times: Ints, share: float) -> int:
    """Return the time of the first event of the last ``share`` of all; of the last for 0."""
    place = min(len(times) - 1, round((1 - share) * len(times)))
    return int(np.partition(times, place)[place])
