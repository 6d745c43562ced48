"""Which interactions can be used at all, and which data sets cannot."""

from collections.abc import Sequence

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.readers import ROW, SOURCE, VALUE

ONLY_DOMAIN = "items"
"""Name of the domain where neither the log nor the catalog has a domain column."""

NO_USER = "user_id is null"
NO_ITEM = "item_id is null"
NO_TIME = "timestamp cannot be read"
NO_DOMAIN = "neither the interaction nor its item has a domain"


def fill_domains(interactions: pl.LazyFrame, catalog: pl.LazyFrame | None) -> pl.LazyFrame:
    """Return the interactions with missing domains taken from the catalog.

    Where no table has a domain column, all interactions belong to `ONLY_DOMAIN`. An item of
    several domains lends the first of them by name.
    """
    if catalog is not None and schema.DOMAIN in catalog.collect_schema():
        first = catalog.group_by(schema.ITEM_ID).agg(pl.col(schema.DOMAIN).min().alias("_of_item"))
        joined = interactions.join(first, on=schema.ITEM_ID, how="left", maintain_order="left")
        filled = pl.coalesce(schema.DOMAIN, "_of_item").alias(schema.DOMAIN)
        return joined.with_columns(filled).drop("_of_item")
    return interactions


def name_only_domain(interactions: pl.DataFrame) -> pl.DataFrame:
    """Return the interactions in `ONLY_DOMAIN` if none of them has a domain."""
    if interactions[schema.DOMAIN].null_count() < len(interactions):
        return interactions
    return interactions.with_columns(pl.lit(ONLY_DOMAIN).alias(schema.DOMAIN))


def flag_unreadable(interactions: pl.DataFrame) -> pl.DataFrame:
    """Return the interactions with a column `reason`, null where they can be used."""
    reasons = {
        schema.USER_ID: NO_USER,
        schema.ITEM_ID: NO_ITEM,
        schema.TIMESTAMP: NO_TIME,
        schema.DOMAIN: NO_DOMAIN,
    }
    return interactions.with_columns(
        pl.coalesce(
            pl.when(pl.col(name).is_null()).then(pl.lit(reason)) for name, reason in reasons.items()
        ).alias(schema.REASON)
    )


def refuse_no_interactions(accepted: pl.DataFrame, rejected: pl.DataFrame) -> None:
    """Raise where no interaction is left.

    Raises:
        InputError: It names the first rejected row, its value and the reason.
    """
    if len(accepted):
        return
    if not len(rejected):
        raise InputError("the interactions have no rows; give `interactions.path` another file")
    row = rejected.row(0, named=True)
    raise InputError(
        f"all {len(rejected)} interactions are rejected; the first, row {row[ROW]} of "
        f"{row[SOURCE]}: {row[schema.REASON]} (value: {row[VALUE]!r}); correct the file or "
        "`interactions.columns`"
    )


def refuse_empty_core(events: pl.DataFrame, k_core: int) -> None:
    """Raise where the core has dropped everything.

    Raises:
        InputError: If no event is left.
    """
    if not len(events):
        raise InputError(
            f"clean.k_core: {k_core} leaves no user and no item with so many training events; "
            "lower it"
        )


def refuse_domain_names(domains: Sequence[str]) -> None:
    """Raise where a domain has a name that metric keys cannot hold.

    Raises:
        InputError: If a domain is named like a slice or has a slash in its name.
    """
    for name in domains:
        if name in schema.RESERVED_NAMES or "/" in name:
            why = "is the name of a slice" if name in schema.RESERVED_NAMES else "has a slash"
            raise InputError(
                f"the domain {name!r} {why}, so its metrics could not be told apart; rename it in "
                f"the data (reserved: {', '.join(sorted(schema.RESERVED_NAMES))}, and any slash)"
            )


def refuse_empty_splits(events: pl.DataFrame, targets: dict[str, pl.DataFrame]) -> None:
    """Raise where a part of the split has nothing.

    Raises:
        InputError: It names the part and the settings that fill it.
    """
    counts = {schema.TRAIN: (events[schema.SPLIT] == schema.TRAIN).sum()}
    counts |= {name: len(rows) for name, rows in targets.items()}
    for name, count in counts.items():
        if count == 0:
            raise InputError(
                f"the split has no {name} {'events' if name == schema.TRAIN else 'targets'} "
                f"({', '.join(f'{each}: {n}' for each, n in counts.items())}); a user needs three "
                "distinct times for train, val and test: give more data, lower `clean.k_core`, or "
                "change `split.method`, its shares or cuts"
            )
