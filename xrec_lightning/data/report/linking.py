"""The links of a data set: ids that mean one user or item are counted as one."""

from typing import NamedTuple

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.tables import LinksConfig
from xrec_lightning.data.findings import Finding, Spec, describe
from xrec_lightning.data.raw.broken import explain_errors
from xrec_lightning.data.raw.files import find_files
from xrec_lightning.data.raw.readers import read_links
from xrec_lightning.data.steps.links import (
    ITEM_LINK,
    USER_LINK,
    canonical_ids,
    flag_links,
    replace_ids,
)

_UNUSABLE: Spec = (
    "warning",
    "links_unusable",
    "links without one of their ids, or of an unknown kind; left out",
    "fill `left_id` and `right_id`; the kind is `user` or `item`",
)


class Links(NamedTuple):
    """Which id stands for which, of users and of items."""

    users: pl.DataFrame
    items: pl.DataFrame
    findings: list[Finding]


def read_all_links(config: LinksConfig | None) -> Links:
    """Return the links of ``config``; they are few and kept in memory.

    Raises:
        InputError: If a file cannot be read.
        FileNotFoundError: If a path names no file.
    """
    if config is None:
        columns = (schema.LEFT_ID, schema.RIGHT_ID, schema.KIND)
        none = canonical_ids(pl.DataFrame(schema=dict.fromkeys(columns, pl.String)), USER_LINK)
        return Links(none, none, [])
    files = find_files(config.path)
    with explain_errors(files, config.encoding):
        links = flag_links(read_links(files, config).collect(engine="streaming"))
    usable = links.filter(pl.col(schema.REASON).is_null())
    unusable = len(links) - len(usable)
    findings = [describe(_UNUSABLE, unusable, len(links))] if unusable else []
    users, items = (canonical_ids(usable, kind) for kind in (USER_LINK, ITEM_LINK))
    return Links(users, items, findings)


def link_ids(rows: pl.LazyFrame, links: Links) -> pl.LazyFrame:
    """Return a log, a catalog or profiles with the ids that stand for the others."""
    present = rows.collect_schema().names()
    for column, mapping in ((schema.USER_ID, links.users), (schema.ITEM_ID, links.items)):
        if column in present and len(mapping):
            rows = replace_ids(rows, mapping, column)
    return rows
