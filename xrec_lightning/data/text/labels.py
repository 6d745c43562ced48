"""What a model is taught: which events are choices, what users said no to, what they rated."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from xrec_lightning.data.errors import InputError, suggest
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.schema import (
    DOMAIN_INDEX,
    DOMAINS,
    EVENT,
    IS_HIDDEN,
    ITEM_INDEX,
    RATING,
    TEXT,
    TIMESTAMP,
    USER_INDEX,
)

Ints = NDArray[np.integer]

_KEY = "data.init_args.labels"
LABEL = "label"
"""Column of the answers."""
_DISLIKES = 1
"""Stream of the draws of disliked items, apart from the draws of the other negatives."""


@dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """What prompts ask for, which events are choices, and which negatives are dislikes."""

    answer: Literal["choice", "rating"] = "choice"
    """Whether the user chooses the candidate, told from negatives, or the user's rating of it."""
    positive_events: list[str] | None = None
    """Kinds of events that are choices: `[click]`, `[purchase]`; all by default. Events of other
    kinds are history only."""
    min_rating: float | None = None
    """Least rating of a choice; an event without a rating is none. All events by default."""
    dislike_share: float = 0.0
    """Share of the training choices whose negative is something that the user disliked in their
    domain, as far as there is something. Evaluation has none of these: its figures stay comparable.
    """


EVERYTHING = LabelConfig()
"""All events are choices."""


def refuse_bad_labels(prepared: Prepared, labels: LabelConfig) -> None:
    """Raise where the labels cannot be had from a data set.

    Raises:
        InputError: It names the key, the value and the remedy.
    """
    columns = prepared.interactions().collect_schema().names()
    rating = "rating" if labels.answer == "rating" else None
    for key, value, column in (
        ("answer", rating, RATING),
        ("positive_events", labels.positive_events, EVENT),
        ("min_rating", labels.min_rating, RATING),
    ):
        if value is not None and column not in columns:
            raise InputError(
                f"{_KEY}.{key}: {value}: the interactions of {prepared.folder} have no column "
                f"`{column}`; name theirs in `interactions.columns` of the data YAML"
            )
    _refuse_missing_values(prepared, labels)
    if not 0 <= labels.dislike_share <= 1:
        raise InputError(f"{_KEY}.dislike_share: {labels.dislike_share} is not in [0, 1]")
    if labels.dislike_share > 0 and prepared.dislikes is None:
        raise InputError(
            f"{_KEY}.dislike_share: {labels.dislike_share}: {prepared.folder} has no dislikes; say "
            "what they are by `events.dislikes` or `events.dislike_below` of the data YAML"
        )


def _refuse_missing_values(prepared: Prepared, labels: LabelConfig) -> None:
    """Raise where the columns are there but do not hold what is asked for."""
    if labels.answer == "rating" and np.isnan(event_ratings(prepared)).all():
        raise InputError(
            f"{_KEY}.answer: rating: no event of {prepared.folder} has a rating; ask for "
            "`choice` or take data with ratings"
        )
    if labels.positive_events is not None:
        names = prepared.interactions().select(pl.col(EVENT).drop_nulls().unique()).collect()
        for name in labels.positive_events:
            if name not in names[EVENT]:
                raise InputError(
                    f"{_KEY}.positive_events: {name}: no event of the log is of this kind; "
                    f"{suggest(name, names[EVENT])}"
                )


def is_chosen(prepared: Prepared, labels: LabelConfig) -> NDArray[np.bool_]:
    """Return which events of the store are choices, shape ``(N,)``."""
    # Hidden events follow those of the store.
    interactions = prepared.interactions().head(len(prepared.item_ids))
    chosen = interactions.select(is_choice=_is_choice(labels)).collect()
    return chosen.to_series().to_numpy()


def chosen_targets(prepared: Prepared, split: str, labels: LabelConfig) -> pl.DataFrame:
    """Return the targets of a split that are choices, with the column `LABEL`."""
    targets = prepared.targets(split)
    if labels.answer == "choice" and labels.positive_events is None and labels.min_rating is None:
        return targets.with_columns(pl.lit(1.0, pl.Float32).alias(LABEL))
    keys = [USER_INDEX, ITEM_INDEX, DOMAIN_INDEX, TIMESTAMP]
    label = pl.col(RATING) if labels.answer == "rating" else pl.lit(1.0)
    choices = prepared.interactions().filter(_is_choice(labels))
    choices = choices.select(*keys, label.cast(pl.Float32).alias(LABEL)).unique(
        keys, keep="first", maintain_order=True
    )
    return targets.join(choices.collect(), on=keys, maintain_order="left")


def event_ratings(prepared: Prepared) -> NDArray[np.float32]:
    """Return the rating of each event of the store, NaN where it has none, shape ``(N,)``."""
    interactions = prepared.interactions().head(len(prepared.item_ids))
    if RATING not in interactions.collect_schema():
        return np.full(len(prepared.item_ids), np.nan, dtype=np.float32)
    ratings = interactions.select(pl.col(RATING).cast(pl.Float32).fill_null(np.nan)).collect()
    return ratings.to_series().to_numpy()


class DislikedItems:
    """Draw what users disliked and never took, of a domain, with text.

    Args:
        prepared: A prepared data set with dislikes.
        share: Share of the negatives that are replaced, as far as there is something.
    """

    def __init__(self, prepared: Prepared, share: float) -> None:
        self.share = share
        self.num_domains = len(prepared.domains)
        rows = _find_disliked(prepared).sort(USER_INDEX, DOMAIN_INDEX, ITEM_INDEX)
        self.keys = self._key(rows[USER_INDEX].to_numpy(), rows[DOMAIN_INDEX].to_numpy())
        self.item_ids = rows[ITEM_INDEX].to_numpy().astype(np.int64)

    def mix_into(self, negatives: Ints, user_ids: Ints, domain_ids: Ints, seed: int) -> Ints:
        """Return ``negatives``, some of them replaced.

        Args:
            negatives: Item indices, shape ``(C,)``.
            user_ids: Whose they are, shape ``(C,)``.
            domain_ids: Domains of the negatives, shape ``(C,)``.
            seed: Seed of the draws.
        """
        generator = np.random.default_rng([seed, _DISLIKES])
        keys = self._key(user_ids, domain_ids)
        starts = np.searchsorted(self.keys, keys)
        counts = np.searchsorted(self.keys, keys, side="right") - starts
        # One row of draws a negative: fewer negatives are the first of more.
        draws = generator.random((len(keys), 2))
        is_replaced = (draws[:, 0] < self.share) & (counts > 0)
        places = starts + (draws[:, 1] * counts).astype(np.int64)
        mixed = np.array(negatives)
        mixed[is_replaced] = self.item_ids[places[is_replaced]]
        return mixed

    def _key(self, user_ids: Ints, domain_ids: Ints) -> Ints:
        return user_ids.astype(np.int64) * (self.num_domains + 1) + domain_ids


def _is_choice(labels: LabelConfig) -> pl.Expr:
    is_choice = pl.repeat(True, pl.len())
    if labels.answer == "rating":
        is_choice &= pl.col(RATING).is_not_null() & pl.col(RATING).is_not_nan()
    if labels.positive_events is not None:
        is_choice &= pl.col(EVENT).is_in(labels.positive_events).fill_null(False)
    if labels.min_rating is not None:
        is_choice &= (pl.col(RATING) >= labels.min_rating).fill_null(False)
    return is_choice


def _find_disliked(prepared: Prepared) -> pl.DataFrame:
    """Return user_index, item_index and domain_index of what may be drawn."""
    assert prepared.dislikes is not None  # the user was told
    offsets, item_ids = prepared.dislikes
    users = np.repeat(np.arange(1, len(offsets)), np.diff(offsets))
    dislikes = pl.DataFrame({USER_INDEX: users, ITEM_INDEX: np.asarray(item_ids)})
    domains = pl.DataFrame({DOMAINS: prepared.domains}).with_row_index(DOMAIN_INDEX, offset=1)
    items = (
        prepared.items()
        .filter(pl.col(TEXT).is_not_null() & ~pl.col(IS_HIDDEN))
        .select(pl.col(ITEM_INDEX).cast(pl.Int32), DOMAINS)
        .explode(DOMAINS)
        .join(domains, on=DOMAINS)
    )
    taken = prepared.interactions().select(pl.col(USER_INDEX, ITEM_INDEX)).collect()
    return (
        dislikes.cast({ITEM_INDEX: pl.Int32})
        .join(items, on=ITEM_INDEX)
        .join(
            taken.cast({USER_INDEX: pl.Int64, ITEM_INDEX: pl.Int32}),
            on=[USER_INDEX, ITEM_INDEX],
            how="anti",
        )
        .select(USER_INDEX, ITEM_INDEX, DOMAIN_INDEX)
    )
