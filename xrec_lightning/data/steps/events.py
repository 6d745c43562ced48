"""What the kinds of events mean: weights in training, and dislikes, which are no history."""

from collections.abc import Collection

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.steps import EventsConfig
from xrec_lightning.data.errors import InputError, suggest
from xrec_lightning.data.steps.clean import flag_rows
from xrec_lightning.data.steps.cold import Cold
from xrec_lightning.data.steps.order import ORDER

BAD_WEIGHT = "weight is negative or infinite"

_END = "_end"


def event_names(interactions: pl.DataFrame) -> set[str]:
    """Return the kinds of events of a part of the log; those of the log are the union."""
    if schema.EVENT not in interactions.columns:
        return set()
    return set(interactions[schema.EVENT].drop_nulls().unique())


def refuse_bad_events(
    config: EventsConfig, names: Collection[str], columns: Collection[str]
) -> None:
    """Raise where the config names what the log does not have.

    Args:
        config: What the kinds of events mean.
        names: Kinds of events of the whole log.
        columns: Our columns that the files have.

    Raises:
        InputError: It names the key, the value and the nearest kind of event.
    """
    for key, given in (("weights", [*config.weights]), ("dislikes", config.dislikes)):
        if given and schema.EVENT not in columns:
            raise InputError(
                f"events.{key}: {given[0]}: no file of the interactions has a column "
                "`event`; name theirs in `interactions.columns`"
            )
        for name in given:
            if name not in names:
                raise InputError(
                    f"events.{key}: {name}: no event of the log is of this kind; "
                    f"{suggest(name, names)}"
                )
    for name, weight in config.weights.items():
        if not 0 <= weight < float("inf"):
            raise InputError(
                f"events.weights: {name}: {weight} is no weight; give 0 or a positive number"
            )
    if config.dislike_below is not None and schema.RATING not in columns:
        raise InputError(
            f"events.dislike_below: {config.dislike_below}: no file of the interactions has a "
            "column `rating`; name theirs in `interactions.columns`"
        )


def drop_nans(interactions: pl.DataFrame) -> pl.DataFrame:
    """Return the interactions with null for each rating and weight that is not a number."""
    names = [each for each in (schema.RATING, schema.WEIGHT) if each in interactions.columns]
    return interactions.with_columns(pl.col(name).fill_nan(None) for name in names)


def flag_bad_weights(interactions: pl.DataFrame) -> pl.DataFrame:
    """Return the interactions with a `reason` on those whose weight cannot train."""
    if schema.WEIGHT not in interactions.columns:
        return flag_rows(interactions, {})
    weights = interactions[schema.WEIGHT].fill_null(1).to_numpy()
    return flag_rows(interactions, {BAD_WEIGHT: (weights < 0) | np.isinf(weights)})


def weigh_events(interactions: pl.DataFrame, config: EventsConfig) -> pl.DataFrame:
    """Return the interactions with their `weight` in training, Float32, 1 where nothing is said.

    The column exists where the log has it or the config weighs kinds of events.
    """
    weight = pl.lit(1, pl.Float32)
    if schema.WEIGHT in interactions.columns:
        weight = pl.col(schema.WEIGHT).fill_null(1)
    elif not config.weights:
        return interactions
    if config.weights:
        of_event = pl.col(schema.EVENT).replace_strict(
            list(config.weights),
            [float(each) for each in config.weights.values()],
            default=1,
            return_dtype=pl.Float32,
        )
        weight = weight * of_event
    return interactions.with_columns(weight.alias(schema.WEIGHT))


def part_dislikes(
    interactions: pl.DataFrame, config: EventsConfig
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the interactions that are no dislikes, and the dislikes, with the same columns."""
    conditions = []
    if config.dislikes:
        conditions.append(pl.col(schema.EVENT).is_in(config.dislikes))
    if config.dislike_below is not None:
        conditions.append(pl.col(schema.RATING) < config.dislike_below)
    if not conditions:
        return interactions, interactions.clear()
    says_no = interactions.select(
        pl.any_horizontal(each.fill_null(False) for each in conditions)
    ).to_series()
    return interactions.filter(~says_no), interactions.filter(says_no)


def training_dislikes(
    dislikes: pl.DataFrame,
    events: pl.DataFrame,
    cold: Cold | None = None,
    before: int | None = None,
) -> pl.DataFrame:
    """Return which items each user may be taught to dislike: user_index, item_index, sorted.

    Only dislikes strictly earlier than their user's first event that does not train count, and none
    of users who have no training event.

    Args:
        dislikes: Dislikes in any order, with `ORDER`.
        events: Events of the store, with `ORDER` and `split`, of the same users.
        cold: What is hidden: dislikes of it do not train.
        before: First validation time of all users, where there is one.
    """
    rows = dislikes
    if cold is not None:
        rows = rows.filter(~pl.Series(cold.hides(rows)))
    if before is not None:
        rows = rows.filter(pl.col(schema.TIMESTAMP) < before)
    is_train = pl.col(schema.SPLIT) == schema.TRAIN
    ends = events.filter(~is_train).group_by(schema.USER_INDEX).agg(pl.col(ORDER).min().alias(_END))
    return (
        rows.join(events.filter(is_train), on=schema.USER_INDEX, how="semi")
        .join(ends, on=schema.USER_INDEX, how="left")
        .filter(pl.col(_END).is_null() | (pl.col(ORDER) < pl.col(_END)))
        .select(schema.USER_INDEX, schema.ITEM_INDEX)
        .unique()
        .sort(schema.USER_INDEX, schema.ITEM_INDEX)
    )
