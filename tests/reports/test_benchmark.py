"""The result of a benchmark: what it holds and what it must not hold."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.reports.test_compare import write_run
from xrec_lightning.reports.benchmark import (
    BenchmarkTable,
    Cost,
    build_result,
    refuse_private,
    to_markdown,
    write_benchmark_page,
    write_result,
)


@pytest.fixture
def table(tmp_path: Path) -> BenchmarkTable:
    """A baseline at rank 3 and 50, a model of two seeds, and the twin of kitchen."""
    runs = {
        "base": [write_run(tmp_path / "base", [3, 50] * 30)],
        "fused": [write_run(tmp_path / f"fused_{seed}", [1 + seed, 50] * 30) for seed in range(2)],
    }
    for folder in [folder for folders in runs.values() for folder in folders]:
        metrics = {"protocol": "p" * 64, "test/ndcg@10": 0.25, "test/hr@10/kitchen": 0.5}
        (folder / "metrics.json").write_text(json.dumps({**metrics, "test/num_targets": 60}))
    twin = write_run(tmp_path / "twin", [1, 50] * 30)
    rows = pl.read_parquet(twin / "per_user.parquet").filter(domain="kitchen")
    rows.write_parquet(twin / "per_user.parquet")
    return BenchmarkTable(
        name="report",
        runs=runs,
        baseline="base",
        costs={folder: Cost(30.0, 8) for folder in runs["fused"]},
        joint="fused",
        twins={"kitchen": twin},
    )


def test_result_holds_figures_intervals_and_costs(tmp_path: Path, table: BenchmarkTable) -> None:
    path = tmp_path / "result.json"
    write_result(build_result("tiny", "f" * 64, [table]), path)
    assert str(tmp_path) not in path.read_text()
    result = json.loads(path.read_text())
    assert set(result["versions"]) >= {"python", "torch", "xrec-lightning"}
    (only,) = result["tables"]
    assert (only["protocol"], only["num_targets"]) == ("p" * 64, 60)
    base, fused = only["rows"]
    assert (base["seeds"], base["seconds"], base["trials"]) == (1, 0, 0)
    assert (fused["seeds"], fused["seconds"], fused["trials"]) == (2, 60, 8)
    assert base["metrics"]["ndcg@10"] == {"mean": 0.25, "std": None}
    assert fused["metrics"]["hr@10/kitchen"] == {"mean": 0.5, "std": 0.0}
    overall = fused["slices"][0]
    # Half of the targets have NDCG 1 and 1 / log2(3) where the baseline has 1/2.
    mean = (1 + 0.6309298) / 4
    assert overall["value"] == pytest.approx(mean)
    assert overall["difference"] == pytest.approx(mean - 0.25)
    assert overall["low"] <= overall["difference"] <= overall["high"]
    (gain, *_) = only["transfer"]
    assert (gain["domain"], gain["negative"]) == ("kitchen", True)


def test_markdown_has_one_row_a_model(table: BenchmarkTable) -> None:
    text = to_markdown(build_result("tiny", "", [table]))
    lines = text.splitlines()
    assert lines[2].startswith("| model | all (60) | grocery (30) | kitchen (30) | cold (4) |")
    assert lines[4].startswith("| base | .2500 | .0000 | .5000 | .2500 |  |")
    fused = next(line for line in lines if line.startswith("| fused |"))
    assert fused.count(" ± ") == 4  # all, two domains, cold; no hit rate in these metrics
    assert fused.endswith("| 2 | 8 | 1.0 |")
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert "Joint over the twin of kitchen: -0.1845 (-18.5%)" in text
    assert ": negative transfer." in text


def test_page_holds_every_table(tmp_path: Path, table: BenchmarkTable) -> None:
    pytest.importorskip("matplotlib")
    write_benchmark_page("tiny", [table], tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert "<h2>report</h2>" in html
    assert "What fused gains over single-domain twins" in html
    assert "http" not in html, "the page needs nothing from outside"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"users": []}, "result.users: a result holds no such field"),
        ({"remarks": ["see /disk/ann/runs"]}, r"remarks\[0\]: see /disk/ann/runs is a path of one"),
        ({"baseline": "~/runs"}, "~/runs is a path of one machine"),
        ({"name": "C:\\runs"}, "is a path of one machine"),
        ({"rows": [{}] * 501}, "result.rows: 501 rows; a result holds no rows of users"),
        ({"metrics": {"u17": 0.5}}, "result.metrics.u17: a result holds no such field"),
    ],
)
def test_private_content_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_result(change, tmp_path / "result.json")
    assert not (tmp_path / "result.json").exists()
    refuse_private({"metrics": {"ndcg@10/tea": {"mean": 0.5, "std": None}}, "name": "a/b"})
