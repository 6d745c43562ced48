"""Which interactions can be used at all, and which data sets cannot."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.readers import ROW, SOURCE, VALUE
from xrec_lightning.data.steps.clean import flag_rows
from xrec_lightning.data.steps.manifest import ShardCounts
from xrec_lightning.data.steps.runs import Ints

ONLY_DOMAIN = "items"
"""Name of the domain where neither the log nor the catalog has a domain column."""

NO_USER = "user_id is null"
NO_ITEM = "item_id is null"
NO_TIME = "timestamp cannot be read"
NO_DOMAIN = "neither the interaction nor its item has a domain"


def fill_domains(interactions: pl.DataFrame, item_domains: Ints) -> pl.DataFrame:
    """Return the interactions with missing domains taken from the catalog.

    Args:
        interactions: Interactions with index columns, nulls where they have no value.
        item_domains: Domain that the catalog gives an item, 0 for none, by item index.
    """
    domains = interactions[schema.DOMAIN_INDEX]
    if domains.null_count() == 0 or not item_domains.any():
        return interactions
    items = interactions[schema.ITEM_INDEX].fill_null(0).to_numpy()
    of_item = pl.Series(item_domains[items].astype(np.int32)).replace(0, None)
    filled = domains.zip_with(domains.is_not_null(), of_item)
    return interactions.with_columns(filled.alias(schema.DOMAIN_INDEX))


def flag_unreadable(interactions: pl.DataFrame) -> pl.DataFrame:
    """Return the interactions with a column `reason`, null where they can be used."""
    reasons = {
        schema.USER_INDEX: NO_USER,
        schema.ITEM_INDEX: NO_ITEM,
        schema.TIMESTAMP: NO_TIME,
        schema.DOMAIN_INDEX: NO_DOMAIN,
    }
    drops = {
        reason: interactions[name].is_null().to_numpy()
        for name, reason in reasons.items()
        if interactions[name].null_count()
    }
    return flag_rows(interactions, drops)


def refuse_no_interactions(
    num_accepted: int, rejected: pl.DataFrame, rows: Mapping[str, int]
) -> None:
    """Raise where no interaction is left.

    Args:
        num_accepted: Interactions that are left.
        rejected: Some of those that are not, the first ones among them.
        rows: Rows of each file.

    Raises:
        InputError: It names the files, or the first rejected row, its value and the reason.
    """
    if num_accepted:
        return
    num_rows = sum(rows.values())
    if num_rows == 0:
        raise InputError(f"{', '.join(rows)}: no rows; give `interactions.path` another file")
    if not len(rejected):
        raise InputError(
            f"{', '.join(rows)}: all {num_rows} interactions are dislikes, which no history holds; "
            "name fewer kinds in `events.dislikes`, or lower `events.dislike_below`"
        )
    row = rejected.sort(SOURCE, ROW).row(0, named=True)
    raise InputError(
        f"all interactions are rejected; the first, row {row[ROW]} of {row[SOURCE]}: "
        f"{row[schema.REASON]} (value: {row[VALUE]!r}); correct the file, `interactions.columns` "
        "or `clean`"
    )


def refuse_empty_core(num_events: int, k_core: int) -> None:
    """Raise where the core has dropped everything.

    Raises:
        InputError: If no event is left.
    """
    if not num_events:
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


def refuse_empty_splits(parts: Sequence[ShardCounts]) -> None:
    """Raise where a part of the split has nothing.

    Args:
        parts: What is counted in each shard.

    Raises:
        InputError: It names the part and the settings that fill it.
    """
    counts = {schema.TRAIN: sum(part.splits[schema.TRAIN] for part in parts)}
    for name in (schema.VAL, schema.TEST):
        counts[name] = sum(int(part.targets[name].sum()) for part in parts)
    for name, count in counts.items():
        if count == 0:
            raise InputError(
                f"the split has no {name} {'events' if name == schema.TRAIN else 'targets'} "
                f"({', '.join(f'{each}: {n}' for each, n in counts.items())}); a user needs three "
                "distinct times for train, val and test: give more data, loosen `clean`, or change "
                "`split.method`, its shares or cuts"
            )
