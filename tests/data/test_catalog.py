from dataclasses import replace
from pathlib import Path

import polars as pl

from xrec_lightning.data.catalog import read_catalog
from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.prepare import locate, prepare
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
    assert catalog.protocol == prepared.manifest["protocol"]
    assert catalog.test_stage == "test"


def test_the_catalog_tells_that_ties_are_believed(tiny_dataset: Path) -> None:
    config = load_config(tiny_dataset)
    config = replace(config, split=replace(config.split, ties="file"))
    catalog = read_catalog(Prepared.open(prepare(config)))
    assert catalog.test_stage == "test[ties=file]"
