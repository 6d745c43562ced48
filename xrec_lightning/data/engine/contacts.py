"""Contacts of people in the texts of items and users, which models and people will read."""

import logging
from collections.abc import Sequence

import polars as pl

from xrec_lightning.data.config.tables import ItemsConfig, UsersConfig
from xrec_lightning.data.raw.contacts import scan_for_contacts
from xrec_lightning.data.raw.readers import raw_name
from xrec_lightning.data.text.verbalize import columns_of_text

Contacts = dict[str, dict[str, int]]
"""Rows with contacts by column, then by code of the finding."""

logger = logging.getLogger(__name__)


def find_contacts(table: str, rows: pl.LazyFrame | None, columns: Sequence[str]) -> Contacts:
    """Return how many rows hold contacts, with a warning for each column and kind.

    Args:
        table: Name of the table, for the warnings.
        rows: The table under our names, None where there is none.
        columns: Those that are looked at, as the files name them.
    """
    if rows is None or not columns:
        return {}
    names = {raw_name(name): name for name in columns}
    counts: Contacts = {}
    for found in scan_for_contacts(rows, list(names)):
        column = names[str(found.column)]
        counts.setdefault(column, {})[found.code] = found.count
        logger.warning(
            "%s: %s, in %d rows, as %s; %s",
            table,
            found.message.replace(f"`{found.column}`", f"`{column}`"),
            found.count,
            found.example,
            found.remedy,
        )
    return counts


def item_columns(config: ItemsConfig | None) -> list[str]:
    """Return the columns that make the title and the text of an item."""
    if config is None:
        return []
    title = [] if config.title is None else [config.title]
    return list(dict.fromkeys([*title, *columns_of_text(config)]))


def user_columns(config: UsersConfig | None) -> list[str]:
    """Return the columns that make the text and the profile of a user."""
    if config is None:
        return []
    return list(dict.fromkeys([*columns_of_text(config), *config.profile]))
