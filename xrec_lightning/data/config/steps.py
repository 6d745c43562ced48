"""What `prepare` does with the tables."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class EventsConfig:
    """What the kinds of events mean."""

    weights: dict[str, float] = field(default_factory=dict)
    """Weight of an event type in training, times the row's own weight; 1 for those not named."""
    dislikes: list[str] = field(default_factory=list)
    """Event types that say no: no history, no target, but negatives of their user in training."""
    dislike_below: float | None = None
    """Ratings below it are dislikes too."""


@dataclass(frozen=True, kw_only=True)
class CleanConfig:
    """Which interactions are dropped; each one is written to the rejected rows."""

    filters: list[str] = field(default_factory=list)
    """Conditions in SQL on our columns that every row must meet: `rating >= 3`,
    `domain IN ('books', 'films')`. A row for which one is unknown is dropped too."""
    since: int | str | None = None
    """First time that is kept, seconds or ISO date."""
    last_days: float = 0
    """Keep the days before the last time of the log; 0 keeps all."""
    max_per_hour: int = 0
    """Drop all events of users with more events in one hour of the clock: bots; 0 keeps all."""
    max_history: int = 0
    """Keep each user's newest events; 0 keeps all."""
    k_core: int = 0
    """Drop users and items with fewer training events, again and again; 0 keeps all."""
    k_core_by: Literal["all", "domain"] = "all"
    """Whether the events of a user count together, or in each domain for itself."""
    repeats: Literal["drop", "last", "keep"] = "drop"
    """A user's events with the same item: `drop` keeps the first, `last` the last, `keep` all."""


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """How events become training events and targets.

    Events of one user with equal time have no order: "times" below are distinct times of a user.
    """

    method: Literal["leave_one_out", "last_n", "ratio", "global_time", "folds"] = "leave_one_out"
    """`leave_one_out`: one event of the last time is the test target, one of the last but one the
    validation target. `last_n`: all events of the last n times, and of the n before. `ratio`: the
    same by share of a user's times. `global_time`: one cut for all users. `folds`: the windows of
    `fold_days` before the end of the log; fold 0 tests the last one, fold 1 the one before …"""
    n: int = 1
    """Times of `last_n`."""
    val_share: float = 0.1
    """Share of `ratio` and `global_time` that validates."""
    test_share: float = 0.1
    """Share of `ratio` and `global_time` that tests."""
    val_from: int | str | None = None
    """First validation time of `global_time`, seconds or ISO date, instead of `val_share`."""
    test_from: int | str | None = None
    """First test time of `global_time`, instead of `test_share`."""
    fold: int = 0
    """Which window of `folds` tests; later events are dropped, the window before validates."""
    fold_days: float = 7
    """Length of a window of `folds`."""
    ties: Literal["shuffle", "file"] = "shuffle"
    """`file` believes the order of the file within equal times: for papers' protocols only."""
    cold_items: float = 0.0
    """Share of the items with text that is hidden from training and every history, then tested."""
    cold_users: float = 0.0
    """Share of the users that is hidden from training, then tested from their history."""
    cold_domain: str | None = None
    """Domain whose events are hidden for a share of its users who have others too, then tested from
    the other domains."""
    cold_domain_users: float = 0.2
    """That share."""


@dataclass(frozen=True, kw_only=True)
class GraphConfig:
    """The fusion graph."""

    window: int = 5
    """Items co-occur when a user's training events are at most so many events apart."""


@dataclass(frozen=True, kw_only=True)
class AnonymizeConfig:
    """What hides people."""

    users: bool = False
    """Replace user ids by keyed hashes (HMAC-SHA-256)."""
    key_env: str = "XREC_ANONYMIZE_KEY"
    """Environment variable with the key, which is never stored."""
    drop: list[str] = field(default_factory=list)
    """Columns of the profiles that are not kept."""
