from pathlib import Path

import polars as pl

from xrec_lightning.buckets import BUCKET_STARTS
from xrec_lightning.data.catalog import read_catalog
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.models.channels.sequence import SequenceChannelConfig
from xrec_lightning.models.fusion import FusionScorer
from xrec_lightning.schema import BUCKETS, ITEM_INDEX, TEST, slice_column


def test_models_and_targets_agree_on_the_bucket_of_an_item(tiny_dataset: Path) -> None:
    assert len(BUCKET_STARTS) == len(BUCKETS)
    prepared = Prepared.open(locate(tiny_dataset))
    catalog = read_catalog(prepared)
    scorer = FusionScorer(catalog, [SequenceChannelConfig()])
    targets = prepared.targets(TEST)
    for number, name in enumerate(BUCKETS):
        items = targets.filter(pl.col(slice_column(name)))[ITEM_INDEX]
        assert (scorer.buckets[items.to_list()] == number).all()
    assert scorer.buckets[targets[ITEM_INDEX].to_list()].unique().numel() > 1
