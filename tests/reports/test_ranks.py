"""Ranks of seeds and of runs that were tested in unlike domains."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.reports.test_compare import write_run
from xrec_lightning.metrics.ranking import MRR, NDCG
from xrec_lightning.reports.ranks import (
    in_domains,
    pair_ranks,
    read_ranks,
    seed_values,
    shared_domains,
    slice_members,
    user_clusters,
)


def test_ranks_of_seeds_are_listed_by_target(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / str(seed), [seed + 1, 20 + seed] * 3) for seed in range(3)]
    shuffled = pl.read_parquet(folders[1] / "per_user.parquet").reverse()
    shuffled.write_parquet(folders[1] / "per_user.parquet")
    rows = read_ranks(folders)
    assert rows["rank"].to_list() == [[1, 2, 3], [20, 21, 22]] * 3
    assert not [name for name in rows.columns if name.endswith("_right")]
    values = seed_values(rows["rank"], [NDCG(10), MRR(50)])
    assert values.shape == (6, 3, 2)
    np.testing.assert_allclose(values[0, :, 0], 1 / np.log2([2, 3, 4]))
    np.testing.assert_allclose(values[1, :, 1], 1 / np.array([20, 21, 22]))


def test_seeds_with_other_targets_are_refused(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", [1] * 6)
    with pytest.raises(ValueError, match="6 and 9, of which 6 are shared"):
        read_ranks([first, write_run(tmp_path / "b", [1] * 9)])


def test_a_run_in_one_domain_shares_that_domain(tmp_path: Path) -> None:
    both = read_ranks(write_run(tmp_path / "a", [1, 2] * 6))
    one = in_domains(both, ["grocery"])
    assert shared_domains(both, one) == ("grocery",)
    assert shared_domains(both, both) is None
    assert shared_domains(one, in_domains(both, ["kitchen"])) is None
    pairs = pair_ranks(in_domains(both, ["grocery"]), one, tmp_path / "a", tmp_path / "b")
    assert pairs["rank_right"].to_list() == [[2]] * 6


def test_members_and_clusters(tmp_path: Path) -> None:
    rows = read_ranks(write_run(tmp_path / "a", [1, 2] * 3))
    assert slice_members(rows, "all").all()
    assert slice_members(rows, "kitchen").tolist() == [True, False] * 3
    assert slice_members(rows, "cold").tolist() == [True] * 4 + [False] * 2
    assert not slice_members(rows, "tail").any(), "the run has no such column"
    clusters = user_clusters(rows)
    assert (clusters[:3] == clusters[0]).all()
    assert clusters[0] != clusters[3]
