"""How many of the ids in links occur in the data."""

from collections.abc import Mapping

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.engine.engines import Engine
from xrec_lightning.data.engine.log import LogFiles
from xrec_lightning.data.steps.links import ID, ITEM_LINK, USER_LINK, count_links

_COLUMNS = {USER_LINK: schema.USER_ID, ITEM_LINK: schema.ITEM_ID}


def count_linked(
    links: Mapping[str, pl.DataFrame],
    log: LogFiles,
    catalog: pl.LazyFrame | None,
    profiles: pl.LazyFrame | None,
    engine: Engine,
) -> dict[str, dict[str, int]]:
    """Return by kind of link how many ids are linked, became another one, and occur nowhere.

    Args:
        links: Result of `canonical_ids` by kind; kinds without links are left out.
        log: The files of the log.
        catalog: The items, before their ids are replaced.
        profiles: The users, before their ids are replaced.
        engine: What reads the files of the log.
    """
    wanted = {_COLUMNS[kind]: each[ID] for kind, each in links.items() if len(each)}
    if not wanted:
        return {}
    found = log.find_ids(wanted, engine)
    tables = {USER_LINK: profiles, ITEM_LINK: catalog}
    counts = {}
    for kind, mapping in links.items():
        if not len(mapping):
            continue
        ids, table = found[_COLUMNS[kind]], tables[kind]
        if table is not None:
            ids = pl.concat([ids, table.select(_COLUMNS[kind]).collect().to_series()])
        counts[kind] = count_links(mapping, ids)
    return counts
