from pathlib import Path

import polars as pl

from xrec_lightning.data.catalog import read_catalog
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared


def test_the_catalog_says_what_the_prepared_folder_holds(tiny_dataset: Path) -> None:
    prepared = Prepared.open(locate(tiny_dataset))
    catalog = read_catalog(prepared)
    items = prepared.items()
    assert catalog.num_items == len(items)
    assert catalog.num_users == len(prepared.users())
    assert catalog.train_counts.tolist() == [0, *items["train_count"]]
    for name, candidates in zip(catalog.domains, catalog.candidates, strict=True):
        members = items.filter(pl.col("domains").list.contains(name))
        assert candidates.tolist() == members["item_index"].to_list()
    assert catalog.vectors is None
