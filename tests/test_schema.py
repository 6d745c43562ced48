"""Names that every part agrees on."""

import polars as pl

from xrec_lightning import schema


def test_buckets_start_where_the_design_says() -> None:
    counts = pl.DataFrame({"count": [0, 1, 3, 4, 15, 16, 1000]})
    buckets = counts.select(schema.popularity_bucket(pl.col("count"))).to_series()
    assert [schema.BUCKETS[bucket] for bucket in buckets] == [
        "cold",
        "tail",
        "tail",
        "mid",
        "mid",
        "head",
        "head",
    ]
    assert buckets.dtype == pl.UInt8


def test_no_domain_can_be_taken_for_a_slice() -> None:
    assert set(schema.SLICES) < schema.RESERVED_NAMES
    assert {"user", "all"} < schema.RESERVED_NAMES


def test_names_are_unique() -> None:
    for names in (schema.SLICES, schema.SPLITS, schema.BUCKETS):
        assert len(set(names)) == len(names)
    assert len(schema.BUCKETS) == len(schema.BUCKET_STARTS)
