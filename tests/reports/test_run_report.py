import json
from pathlib import Path

import polars as pl
import pytest

from xrec_lightning.reports.run_report import write_report
from xrec_lightning.reports.transfer import transfer_block, transfer_table
from xrec_lightning.schema import BUCKETS, slice_column


def write_run(folder: Path, ranks: list[int], *, trains: bool) -> Path:
    """Write a tested run over two domains; targets 0, 4, 8 … are cold, the next ones tail, …"""
    folder.mkdir()
    num_targets = len(ranks)
    frame = pl.DataFrame(
        {
            "user_id": [f"u{row}" for row in range(num_targets)],
            "domain": ["kitchen" if row % 2 else "gro<b>cery" for row in range(num_targets)],
            "item_id": [f"i{row}" for row in range(num_targets)],
            "timestamp": list(range(num_targets)),
            "rank": ranks,
            "num_candidates": [99] * num_targets,
            "seed": [0] * num_targets,
            slice_column("warm"): [row % 4 != 0 for row in range(num_targets)],
        }
    )
    for index, name in enumerate(BUCKETS):
        frame = frame.with_columns(
            pl.Series(slice_column(name), [row % 4 == index for row in range(num_targets)])
        )
    frame.write_parquet(folder / "per_user.parquet")
    metrics = {"test/ndcg@10": 0.1234, "test/ndcg@10/user": 0.4321, "test/hr@10": None}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    if trains:
        (folder / "logs").mkdir()
        (folder / "logs" / "metrics.csv").write_text("step,val/ndcg@10\n1,0.1\n2,0.2\n")
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, Path]:
    # In kitchen, at odd rows, `fused` is better; `popularity` is worse everywhere.
    return {
        "popularity": write_run(tmp_path / "p", [90] * 40, trains=False),
        "sequence": write_run(tmp_path / "s", [2] * 40, trains=True),
        "fused": write_run(tmp_path / "f", [2, 1] * 20, trains=True),
    }


def test_the_report_holds_figures_plots_and_lists(tmp_path: Path, runs: dict[str, Path]) -> None:
    lists = pl.DataFrame(
        {
            "user_id": ["ann"] * 4 + [f"user{index}" for index in range(9)],
            "domain": ["kitchen"] * 13,
            "rank": [1, 2, 3, 4] + [1] * 9,
            "item_id": [f"i{index}" for index in range(13)],
            "score": [1.0] * 13,
            "title": ["Pan & pot", None, "Cup", "Ladle"] + ["Fork"] * 9,
            "reason": ['often follows "PAN" (sequence 60 %)'] + [None] * 12,
        }
    )
    write_report(runs, tmp_path / "out" / "report.html", lists)
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "3 models, tested on the same 40 targets." in html
    assert html.count("data:image/svg+xml;base64,") == 3
    assert "0.1234" in html
    assert "0.4321" in html
    assert "gro&lt;b&gt;cery" in html
    assert "gro<b>cery" not in html
    assert "best NDCG@10 overall: fused" in html
    assert "1 of 2" in html  # the domains where fused gains
    assert "Pan &amp; pot" in html
    assert "<td>i1</td>" in html  # an item without a title goes by its id
    assert "Ladle" not in html  # rank 4
    assert "User user3" in html
    assert "User user4" not in html  # the sixth user


def test_figures_with_believed_ties_say_so(tmp_path: Path, runs: dict[str, Path]) -> None:
    text = (runs["fused"] / "metrics.json").read_text()
    (runs["fused"] / "metrics.json").write_text(
        text.replace("test/", "test[ties=file]/").replace("0.1234", "0.2345")
    )
    write_report(runs, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert "Mind: ties: file (fused): the order of the file" in html
    row = next(line for line in html.splitlines() if "0.2345" in line)
    assert "fused" in row
    assert "ties: file" in row
    assert html.count("ties: file") == 2


def test_domains_that_lose_are_named(tmp_path: Path, runs: dict[str, Path]) -> None:
    write_report(runs, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert "<td>popularity</td><td>gro&lt;b&gt;cery, kitchen</td>" in html
    assert "Recommendations</h2>" not in html
    del runs["popularity"]
    write_report(runs, tmp_path / "report.html")
    assert "No model is worse than the baseline" in (tmp_path / "report.html").read_text()


def test_without_a_sequence_model_the_first_is_the_baseline(
    tmp_path: Path, runs: dict[str, Path]
) -> None:
    del runs["sequence"]
    write_report(runs, tmp_path / "report.html")
    assert "Gain over popularity by popularity" in (tmp_path / "report.html").read_text()


def test_one_run_that_does_not_train_has_bars_alone(tmp_path: Path, runs: dict[str, Path]) -> None:
    only = {"popularity": runs["popularity"]}
    write_report(only, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert html.count("data:image/svg+xml;base64,") == 1


def test_an_untested_run_leaves_the_old_report(tmp_path: Path, runs: dict[str, Path]) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(FileNotFoundError, match="xrec test"):
        write_report({**runs, "none": tmp_path / "none"}, path)
    assert path.read_text() == "old"


def test_a_run_in_one_domain_is_named(tmp_path: Path, runs: dict[str, Path]) -> None:
    rows = pl.read_parquet(runs["fused"] / "per_user.parquet").filter(domain="kitchen")
    rows.write_parquet(runs["fused"] / "per_user.parquet")
    write_report(runs, tmp_path / "report.html", baseline="sequence")
    html = (tmp_path / "report.html").read_text()
    assert "Mind: fused was tested in kitchen alone." in html


def test_seeds_and_twins_are_shown(tmp_path: Path, runs: dict[str, Path]) -> None:
    again = write_run(tmp_path / "f2", [2, 2] * 20, trains=False)
    twin = write_run(tmp_path / "twin", [2, 2] * 20, trains=False)
    gains = transfer_table(runs["popularity"], {"kitchen": twin}, num_resamples=50)
    rows = {"sequence": runs["sequence"], "fused": [runs["fused"], again]}
    write_report(rows, tmp_path / "report.html", more=[transfer_block(gains, "popularity")])
    html = (tmp_path / "report.html").read_text()
    assert "What popularity gains over single-domain twins" in html
    assert '<td>kitchen<small class="bad">negative transfer</small></td>' in html
    assert '<small class="">± 0.0000</small>' in html  # equal figures of both seeds
    assert " ± " in next(line for line in html.splitlines() if "<td>fused</td>" in line)
