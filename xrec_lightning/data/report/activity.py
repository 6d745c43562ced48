"""What users do: how much, how fast, in what order; and the findings of it."""

from typing import NamedTuple

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.findings import Finding, share_of
from xrec_lightning.data.report.histories import Histories
from xrec_lightning.data.report.rows import Totals, time_order
from xrec_lightning.data.report.table import Located

QUANTILES = {f"p{share}": share / 100 for share in (0, 10, 25, 50, 75, 90, 99, 100)}
MIN_RATE = 30
"""Fewer rows in an hour are never suspicious."""
MIN_STREAK = 24
"""Fewer hours in a row are never suspicious."""
MIN_TIMES = 3
"""Distinct times that give a training event, a validation target and a test target."""

_TIED_WARNING = 0.5
_SHORT_WARNING = 0.5


class Activity(NamedTuple):
    """How users behave."""

    history_lengths: dict[str, float]
    """Quantiles of the events of a user, and the `mean`."""
    last_tied_share: float
    """Share of the users with two events or more whose last event shares its time."""
    rate_limit: int
    """Rows of one user in one hour of the clock beyond which the user is suspicious."""
    streak_limit: int
    """Hours in a row with a row of a user beyond which the user is suspicious."""
    suspicious_users: int


def measure_activity(users: pl.DataFrame) -> Activity:
    """Return how the users of `Histories` behave."""
    lengths = users["events"].to_numpy()
    quantiles = {name: float(np.quantile(lengths, q)) for name, q in QUANTILES.items()}
    quantiles["mean"] = round(float(lengths.mean()), 2)
    several = users.filter(pl.col("events") > 1)
    tied = several.filter(pl.col("tied") > 1)
    rate, streak = limit(users["rate"], MIN_RATE), limit(users["streak"], MIN_STREAK)
    return Activity(
        history_lengths=quantiles,
        last_tied_share=share_of(len(tied), len(several)),
        rate_limit=rate,
        streak_limit=streak,
        suspicious_users=len(_beyond(users, rate, streak)),
    )


def limit(values: pl.Series, least: int) -> int:
    """Return the value beyond which users are far above the others.

    It is Tukey's far fence on logarithms, the upper quartile times the third power of upper over
    lower quartile, where that ratio counts as 2 at least: rates are skewed, and the fence must not
    fall on the values of a tight bulk. Half of the users being bots does not move it far.

    Args:
        values: One a user, such as the rate.
        least: Smaller values are never beyond it.

    Example:
        >>> limit(pl.Series([1, 1, 2, 2, 2, 900]), least=10)
        16
    """
    low, high = (max(values.quantile(q, "nearest") or 1, 1) for q in (0.25, 0.75))
    return max(least, int(high * max(high / low, 2) ** 3))


def fastest_users(users: pl.DataFrame, top: int) -> pl.DataFrame:
    """Return the ``top`` users by rate: `first_key`, `rate`, `streak`, `rows`."""
    ranked = users.sort("rate", "streak", "first_key", descending=[True, True, False])
    return ranked.head(top).select("first_key", "rate", "streak", "rows")


def find_activity(
    config: PrepareConfig, histories: Histories, activity: Activity, totals: Totals
) -> list[Located]:
    """Return the findings about rows of the same user."""
    found = _find_copies(config, histories, totals)
    users = histories.users
    beyond = _beyond(users, activity.rate_limit, activity.streak_limit).sort("first_key")
    if len(beyond):
        finding = Finding(
            severity="warning",
            code="suspicious_users",
            message=f"users, perhaps bots, with more than {activity.rate_limit} rows in one hour, "
            f"or with rows in more than {activity.streak_limit} hours in a row",
            remedy=f"`clean.max_per_hour: {activity.rate_limit}` drops the fast ones",
            count=len(beyond),
            share=share_of(len(beyond), len(users)),
            column=schema.USER_ID,
        )
        found.append(Located(finding, beyond["first_key"][0]))
    if config.interactions.order == "time":
        found += _find_order(histories, activity, totals)
    short = users.filter(pl.col("times") < MIN_TIMES).sort("first_key")
    if 0 < len(short) < len(users) and config.split.method in ("leave_one_out", "ratio"):
        share = share_of(len(short), len(users))
        finding = Finding(
            severity="warning" if share > _SHORT_WARNING else "info",
            code="short_histories",
            message=f"users with fewer than {MIN_TIMES} distinct times, who lack a target",
            remedy="nothing, or `split.method: global_time`, or `clean.k_core`",
            count=len(short),
            share=share,
            column=schema.USER_ID,
        )
        found.append(Located(finding, short["first_key"][0]))
    return found


def _find_copies(config: PrepareConfig, histories: Histories, totals: Totals) -> list[Located]:
    kept = totals.accepted - histories.duplicates
    found = []
    if histories.duplicates:
        finding = Finding(
            severity="warning",
            code="duplicate_rows",
            message="rows that equal an earlier one in every column; dropped",
            remedy="nothing; or remove them, or map a column that tells them apart",
            count=histories.duplicates,
            share=share_of(histories.duplicates, totals.accepted),
        )
        found.append(Located(finding, histories.first_keys["duplicate"]))
    if histories.repeats and config.clean.repeats != "keep":
        finding = Finding(
            severity="info",
            code="repeats",
            message="rows whose user has another row with the item; "
            f"`clean.repeats: {config.clean.repeats}` drops them",
            remedy="`clean.repeats: keep`, if a repeat is an event",
            count=histories.repeats,
            share=share_of(histories.repeats, kept),
        )
        found.append(Located(finding, histories.first_keys["repeat"]))
    return found


def _find_order(histories: Histories, activity: Activity, totals: Totals) -> list[Located]:
    found = []
    users = histories.users
    tied = users.filter(pl.col("events") > 1, pl.col("tied") > 1).sort("first_key")
    if histories.tied:
        share = activity.last_tied_share
        finding = Finding(
            severity="warning" if share > _TIED_WARNING else "info",
            code="ties",
            message="events that share their time with another one of their user, so that they "
            f"have no order; so does the last event of {share:.1%} of the users",
            remedy="finer times, if there are any; `prepare` shuffles ties by `seed`",
            count=histories.tied,
            share=share_of(histories.tied, int(users["events"].sum())),
            column=schema.USER_ID,
        )
        found.append(Located(finding, tied["first_key"][0] if len(tied) else None))
    order = time_order(totals, len(users))
    if order in ("user", "nothing"):
        in_blocks = order == "user"
        count = totals.user_breaks if in_blocks else totals.time_breaks
        finding = Finding(
            severity="info",
            code="unsorted",
            message="rows that are earlier than the row before"
            + (", of the same user" if in_blocks else ""),
            remedy="nothing: `prepare` sorts; but do not set `split.ties: file`",
            count=count,
            share=share_of(count, totals.rows),
            column=schema.TIMESTAMP,
        )
        key = totals.first_user_break if in_blocks else totals.first_time_break
        found.append(Located(finding, key))
    return found


def _beyond(users: pl.DataFrame, rate: int, streak: int) -> pl.DataFrame:
    return users.filter((pl.col("rate") > rate) | (pl.col("streak") > streak))
