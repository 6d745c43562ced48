"""Gains over twins, against figures worked out by hand."""

from pathlib import Path

import polars as pl
import pytest

from tests.reports.test_compare import write_run
from xrec_lightning.reports.transfer import negative_domains, transfer_table


@pytest.fixture
def twins(tmp_path: Path) -> dict[str, Path]:
    """Twins at rank 2 in grocery, at odd rows, and at rank 1 in kitchen."""
    twins = {}
    for domain, ranks in (("grocery", [9, 2] * 30), ("kitchen", [1, 9] * 30)):
        folder = write_run(tmp_path / domain, ranks)
        rows = pl.read_parquet(folder / "per_user.parquet").filter(domain=domain)
        rows.write_parquet(folder / "per_user.parquet")
        twins[domain] = folder
    return twins


def test_gain_is_joint_less_twin_in_each_domain(tmp_path: Path, twins: dict[str, Path]) -> None:
    seeds = [write_run(tmp_path / "0", [3, 1] * 30), write_run(tmp_path / "1", [1, 1] * 30)]
    table = transfer_table(seeds, twins, num_resamples=50)
    overall = {row["domain"]: row for row in table.filter(slice="all").iter_rows(named=True)}
    assert overall["grocery"]["num_targets"] == 30
    twin = 1 / 1.5849625  # NDCG of rank 2: 1 / log2(3)
    assert overall["grocery"]["twin"] == pytest.approx(twin)
    assert overall["grocery"]["difference"] == pytest.approx(1 - twin)
    assert overall["grocery"]["gain"] == pytest.approx(1 / twin - 1)
    # The seeds have rank 3 and 1 in kitchen: NDCG 1/2 and 1.
    assert overall["kitchen"]["joint"] == pytest.approx(0.75)
    assert overall["kitchen"]["high"] == pytest.approx(-0.25)
    assert negative_domains(table) == ("kitchen",)
    cold = table.filter(domain="grocery", slice="cold").row(0, named=True)
    assert cold["num_targets"] == 2


def test_a_twin_of_another_domain_is_refused(tmp_path: Path, twins: dict[str, Path]) -> None:
    joint = write_run(tmp_path / "joint", [1] * 60)
    with pytest.raises(ValueError, match="was not tested in grocery, but in kitchen; a twin is"):
        transfer_table(joint, {"grocery": twins["kitchen"]})


def test_a_gain_over_nothing_has_no_share(tmp_path: Path, twins: dict[str, Path]) -> None:
    joint = write_run(tmp_path / "joint", [1] * 60)
    lost = pl.read_parquet(twins["grocery"] / "per_user.parquet")
    lost.with_columns(rank=pl.lit(90, pl.Int32)).write_parquet(
        twins["grocery"] / "per_user.parquet"
    )
    table = transfer_table(joint, {"grocery": twins["grocery"]}, num_resamples=50)
    assert table["gain"].null_count() == len(table)
