"""Which interactions meet the conditions of the data YAML: filters in SQL and spans of time."""

import re
from collections.abc import Collection, Sequence

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.steps import CleanConfig
from xrec_lightning.data.errors import InputError, suggest
from xrec_lightning.data.raw.readers import SOURCE
from xrec_lightning.data.raw.times import parse_time
from xrec_lightning.data.steps.clean import flag_rows

COLUMNS = {**schema.INTERACTION_DTYPES, SOURCE: pl.String()}
"""What a filter may name."""

_SECONDS_A_DAY = 86_400
_LITERALS = re.compile(r"'(?:[^']|'')*'")
_OF_MANY_ROWS = re.compile(
    r"\b(SELECT|OVER)\b|\b(AVG|COUNT|CORR|COVAR\w*|FIRST\w*|LAST\w*|MAX|MEDIAN|MIN|QUANTILE\w*"
    r"|STD\w*|SUM|VAR\w*|RANK|DENSE_RANK|ROW_NUMBER|LAG|LEAD)\s*\(",
    re.IGNORECASE,
)


def filter_columns(filters: Sequence[str]) -> set[str]:
    """Return the columns that the filters name.

    Raises:
        InputError: If one cannot be parsed or looks at more than one row.
    """
    return {name for each in filters for name in _parse(each).meta.root_names()}


def refuse_bad_filters(filters: Sequence[str], columns: Collection[str]) -> None:
    """Raise where a filter is no condition on the interactions.

    Args:
        filters: Conditions in SQL.
        columns: Our columns that the files have.

    Raises:
        InputError: It holds the filter and the remedy.
    """
    rows = pl.DataFrame(schema=COLUMNS)
    for each in filters:
        for name in filter_columns([each]):
            if name not in COLUMNS:
                raise InputError(
                    f"clean.filters: {each}: no column `{name}`; {suggest(name, COLUMNS)}"
                )
            if name not in columns:
                raise InputError(
                    f"clean.filters: {each}: no file of the interactions has a column `{name}`; "
                    "name theirs in `interactions.columns`, or drop the filter"
                )
        try:
            dtype = rows.select(_parse(each)).dtypes[0]
        except pl.exceptions.PolarsError as error:
            raise InputError(
                f"clean.filters: {each}: {str(error).splitlines()[0]}; compare numbers with "
                "numbers and text with 'text'"
            ) from error
        if dtype != pl.Boolean:
            raise InputError(
                f"clean.filters: {each}: its value is no yes or no; compare it, as `rating >= 3`"
            )


def flag_unmet(interactions: pl.DataFrame, filters: Sequence[str]) -> pl.DataFrame:
    """Return the interactions with a `reason` on those that a filter does not hold for.

    Args:
        interactions: Interactions with the columns that the filters name.
        filters: Conditions in SQL; a row for which one is unknown does not meet it.
    """
    is_met = interactions.select(
        # A condition without a column, as `1 = 1`, has one value for all rows.
        (_parse(each).fill_null(False) & pl.repeat(True, pl.len())).alias(each)
        for each in filters
    )
    return flag_rows(
        interactions, {f"does not meet: {each}": ~is_met[each].to_numpy() for each in filters}
    )


def flag_early(
    interactions: pl.DataFrame, config: CleanConfig, last_time: int | None
) -> pl.DataFrame:
    """Return the interactions with a `reason` on those before `since` and the last days.

    Args:
        interactions: Interactions in any order.
        config: The span of time.
        last_time: Last time of the whole log, None where `last_days` keeps all.

    Raises:
        InputError: If `since` is no time.
    """
    times = interactions[schema.TIMESTAMP].to_numpy()
    drops = {}
    since = first_time(config)
    if since is not None:
        drops[f"before {config.since}"] = times < since
    if config.last_days > 0 and last_time is not None:
        first = last_time - round(config.last_days * _SECONDS_A_DAY)
        drops[f"before the last {config.last_days:g} days"] = times < first
    return flag_rows(interactions, drops)


def first_time(config: CleanConfig) -> int | None:
    """Return `since` in seconds, None where there is none.

    Raises:
        InputError: If it is no time.
    """
    if config.since is None:
        return None
    first = parse_time(config.since)
    if first is None:
        raise InputError(
            f"clean.since: {config.since} is no time; give seconds since 1970 or an ISO date"
        )
    return first


def _parse(condition: str) -> pl.Expr:
    match = _OF_MANY_ROWS.search(_LITERALS.sub("''", condition))
    if match:
        raise InputError(
            f"clean.filters: {condition}: {match[0].rstrip(' (')} looks at more than one row; a "
            "filter is a condition on the row itself"
        )
    try:
        return pl.sql_expr(condition)
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"clean.filters: {condition}: {error}; write a condition in SQL, as `rating >= 3` or "
            "`domain IN ('books', 'films')`"
        ) from error
