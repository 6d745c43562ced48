"""The gain along popularity, against bins worked out by hand."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.test_compare import write_run
from xrec_lightning.reports.popularity import bin_counts, gain_curves, read_item_counts


def test_points_are_means_over_neighboring_bins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xrec_lightning.reports.popularity.NUM_BINS", 3)
    base = write_run(tmp_path / "base", [50] * 60)
    # The first 20 items gain 1 each, the others nothing; item i has i training events.
    fused = write_run(tmp_path / "fused", [1] * 20 + [50] * 40)
    counts = pl.DataFrame({"item_id": [f"i{i}" for i in range(60)], "train_count": range(60)})
    table = gain_curves({"base": base, "fused": fused}, "base", counts, num_resamples=50)
    assert table["model"].unique().to_list() == ["fused"]
    sizes = table["num_targets"].to_list()
    assert sum(sizes) == 60
    assert len(sizes) == 3
    ends = np.cumsum(sizes)
    gains = np.repeat([1.0, 0.0], [20, 40])
    expected = [gains[: ends[1]].mean(), gains.mean(), gains[ends[0] :].mean()]
    np.testing.assert_allclose(table["difference"], expected)
    assert (table["low"] <= table["difference"]).all()
    assert (table["difference"] <= table["high"]).all()
    assert table["count"][0] == pytest.approx(np.arange(ends[0]).mean())


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(1, 12))
def test_bins_are_intervals_of_counts(counts: list[int], num_bins: int) -> None:
    bins = bin_counts(np.array(counts), num_bins)
    assert set(bins) == set(range(bins.max() + 1))
    assert len(set(bins)) <= num_bins
    pairs = sorted(zip(counts, bins.tolist(), strict=True))
    assert [place for _, place in pairs] == sorted(bins.tolist())
    assert all(a[1] == b[1] for a, b in pairwise(pairs) if a[0] == b[0])


def test_counts_are_those_of_the_data_of_the_run(tmp_path: Path, tiny_dataset: Path) -> None:
    assert read_item_counts(tmp_path) is None
    config = tmp_path / "config.yaml"
    config.write_text(f"data: {{init_args: {{dataset: {tiny_dataset}}}}}")
    counts = read_item_counts(tmp_path)
    assert counts is not None
    assert counts.columns == ["item_id", "train_count"]
    assert counts["train_count"].sum() > 0
    config.write_text("data: {init_args: {dataset: nowhere.yaml}}")
    assert read_item_counts(tmp_path) is None
