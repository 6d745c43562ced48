"""Runs written out by hand, and errors for runs that do not belong together."""

import json
from pathlib import Path

import polars as pl
import pytest

from xrec_lightning.metrics.ranking import default_metrics
from xrec_lightning.reports.compare import compare_runs, comparison_table, write_comparison


def write_run(folder: Path, ranks: list[int], **columns: pl.Series | pl.Expr) -> Path:
    """Write ranks of targets that alternate between kitchen and grocery, three to a user."""
    rows = pl.DataFrame({"rank": ranks}, schema={"rank": pl.Int32}).with_columns(
        user_id=pl.format("u{}", pl.int_range(pl.len()) // 3),
        domain=pl.when(pl.int_range(pl.len()) % 2 == 0)
        .then(pl.lit("kitchen"))
        .otherwise(pl.lit("grocery")),
        item_id=pl.format("i{}", pl.int_range(pl.len())),
        timestamp=pl.lit(7, pl.Int64),
        num_candidates=pl.lit(100, pl.Int32),
        seed=pl.lit(0, pl.Int64),
        slice_cold=pl.int_range(pl.len()) < 4,
        slice_head=pl.lit(False),
    )
    folder.mkdir()
    rows.with_columns(**columns).write_parquet(folder / "per_user.parquet")
    return folder


@pytest.fixture
def left(tmp_path: Path) -> Path:
    return write_run(tmp_path / "left", [3, 50] * 30)


@pytest.fixture
def right(tmp_path: Path) -> Path:
    """Grocery, at odd rows, gains in every target; kitchen loses in every one."""
    return write_run(tmp_path / "right", [50, 1] * 30)


def test_differences_are_right_less_left_by_metric_and_slice(left: Path, right: Path) -> None:
    table = compare_runs(left, right).table
    hits = {row["slice"]: row for row in table.filter(metric="hr@10").iter_rows(named=True)}
    assert list(hits) == ["all", "grocery", "kitchen", "cold"]  # the head slice is empty
    assert [hits[name]["num_targets"] for name in hits] == [60, 30, 30, 4]
    assert (hits["all"]["left"], hits["all"]["right"], hits["all"]["difference"]) == (0.5, 0.5, 0)
    assert hits["all"]["low"] < 0 < hits["all"]["high"]
    assert [hits["grocery"][key] for key in ("difference", "low", "high")] == [1, 1, 1]
    assert [hits["kitchen"][key] for key in ("difference", "low", "high")] == [-1, -1, -1]
    mrr = table.filter(metric="mrr@10", slice="all").row(0, named=True)
    assert mrr["difference"] == pytest.approx((1 - 1 / 3) / 2)
    assert table["metric"].unique().sort().to_list() == sorted(
        metric.name for metric in default_metrics()
    )


def test_a_domain_that_loses_is_flagged(left: Path, right: Path) -> None:
    assert compare_runs(left, right).negative_transfer == ("kitchen",)
    assert compare_runs(right, left).negative_transfer == ("grocery",)
    assert compare_runs(left, left).negative_transfer == ()


def test_order_of_rows_does_not_matter(tmp_path: Path, left: Path, right: Path) -> None:
    shuffled = tmp_path / "shuffled"
    shuffled.mkdir()
    rows = pl.read_parquet(right / "per_user.parquet").sample(fraction=1, shuffle=True, seed=1)
    rows.write_parquet(shuffled / "per_user.parquet")
    assert compare_runs(left, shuffled).table.equals(compare_runs(left, right).table)


def test_a_target_that_occurs_twice_is_paired_with_itself(tmp_path: Path) -> None:
    same = {"item_id": pl.lit("i"), "domain": pl.lit("kitchen"), "user_id": pl.lit("u")}
    left = write_run(tmp_path / "left", [1, 2], **same)
    right = write_run(tmp_path / "right", [1, 2], **same)
    comparison = compare_runs(left, right)
    assert comparison.table["num_targets"].max() == 2
    assert comparison.table["difference"].abs().max() == 0


def test_the_json_holds_the_table(left: Path, right: Path) -> None:
    content = json.loads(json.dumps(compare_runs(left, right).to_dict()))
    assert content["negative_transfer"] == ["kitchen"]
    assert content["table"][0]["metric"] == "ndcg@10"
    assert content["left"] == str(left)


def test_an_untested_run_is_refused(tmp_path: Path, left: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none.per_user.parquet does not exist.*xrec test"):
        compare_runs(left, tmp_path / "none")


def test_other_targets_are_refused(tmp_path: Path, left: Path) -> None:
    other = write_run(tmp_path / "other", [1] * 60, timestamp=pl.lit(8, pl.Int64))
    with pytest.raises(ValueError, match="60 and 60, of which 0 are shared"):
        compare_runs(left, other)
    fewer = write_run(tmp_path / "fewer", [1] * 40)
    with pytest.raises(ValueError, match="60 and 40, of which 40 are shared"):
        compare_runs(left, fewer)


def test_unlike_protocols_are_named(tmp_path: Path, left: Path, right: Path) -> None:
    other = write_run(tmp_path / "other", [1] * 60, timestamp=pl.lit(8, pl.Int64))
    for folder, protocol in ((left, "a"), (right, "b"), (other, "c")):
        (folder / "metrics.json").write_text(json.dumps({"protocol": protocol * 64}))
    with pytest.raises(ValueError, match=r"left \(protocol a{12}\) and .*other \(protocol c{12}\)"):
        compare_runs(left, other)
    comparison = compare_runs(left, right)  # their targets are equal
    assert len(comparison.remarks) == 1
    assert comparison.remarks[0].startswith("equal targets, but different protocols: ")
    assert comparison.to_dict()["remarks"] == comparison.remarks


def test_other_candidates_are_refused(tmp_path: Path, left: Path) -> None:
    other = write_run(tmp_path / "other", [1] * 60, num_candidates=pl.lit(99, pl.Int32))
    with pytest.raises(ValueError, match="candidates for 60 targets, such as 100 and 99 for user"):
        compare_runs(left, other)


def test_models_are_compared_with_the_baseline(left: Path, right: Path) -> None:
    table = comparison_table({"sequence": left, "fused": right}, "sequence")
    assert table["model"].unique(maintain_order=True).to_list() == ["sequence", "fused"]
    assert table.filter(model="fused")["slice"].to_list() == ["all", "grocery", "kitchen", "cold"]
    grocery = table.filter(model="fused", slice="grocery").row(0, named=True)
    assert (grocery["value"], grocery["low"], grocery["high"]) == (1, 1, 1)
    assert table.filter(model="sequence")["difference"].abs().max() == 0


def test_an_unknown_baseline_is_refused(left: Path) -> None:
    with pytest.raises(KeyError, match="no run is named 'sequence'; there are fused"):
        comparison_table({"fused": left}, "sequence")


def test_the_comparison_file_holds_the_metrics_of_each_run(tmp_path: Path) -> None:
    for name, value in (("a", 0.5), ("b", None)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps({"test/ndcg@10": value}))
    runs = {"popularity": tmp_path / "a", "fused": tmp_path / "b"}
    write_comparison(runs, tmp_path / "out" / "comparison.json")
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == {
        "popularity": {"test/ndcg@10": 0.5},
        "fused": {"test/ndcg@10": None},
    }
    with pytest.raises(FileNotFoundError, match="xrec test"):
        write_comparison({"none": tmp_path / "none"}, tmp_path / "comparison.json")


def test_seeds_are_one_row_of_means(tmp_path: Path, left: Path) -> None:
    seeds = [write_run(tmp_path / "0", [1, 50] * 30), write_run(tmp_path / "1", [50, 50] * 30)]
    table = comparison_table({"sequence": left, "fused": seeds}, "sequence")
    row = table.filter(model="fused", slice="all").row(0, named=True)
    # NDCG@10 overall is 1/2 with one seed and 0 with the other.
    assert (row["value"], row["seeds"]) == (0.25, 2)
    assert row["std"] == pytest.approx(0.5 / 2**0.5)
    assert table.filter(model="sequence")["std"].null_count() == 4
    # The left one has rank 3 where the seeds have 1 and 50: on their mean it loses nowhere.
    assert (row["difference"], row["low"], row["high"]) == (0, 0, 0)
    single = compare_runs(left, seeds[0]).table.filter(metric="hr@10", slice="kitchen")
    assert single["std"].to_list() == [None]


def test_a_twin_is_compared_in_its_domain_alone(tmp_path: Path, left: Path, right: Path) -> None:
    rows = pl.read_parquet(right / "per_user.parquet").filter(domain="grocery")
    rows.write_parquet(right / "per_user.parquet")
    comparison = compare_runs(left, right)
    assert comparison.domains == ("grocery",)
    assert comparison.table["num_targets"].max() == 30
    (remark,) = comparison.remarks
    assert remark.startswith("compared on the 30 targets of grocery alone: one of the runs was")
    assert compare_runs(right, left).remarks == comparison.remarks
    table = comparison_table({"joint": left, "twin": right}, "joint")
    assert table.filter(model="twin")["slice"].to_list() == ["grocery"]
    rows.head(20).write_parquet(right / "per_user.parquet")
    with pytest.raises(ValueError, match="30 and 20, of which 20 are shared"):
        compare_runs(left, right)
