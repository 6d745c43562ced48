from dataclasses import replace
from io import StringIO

import polars as pl
import pytest
from rich.console import Console
from rich.table import Table

from xrec_lightning.reports.compare import Comparison
from xrec_lightning.reports.tables import (
    gain_color,
    render_comparison,
    render_models,
    render_transfer,
)

COMPARISON = Comparison(
    "runs/left",
    "runs/right",
    pl.DataFrame(
        {
            "metric": ["ndcg@10"] * 3,
            "slice": ["all", "grocery", "kitchen"],
            "num_targets": [3000, 2000, 1000],
            "left": [0.02, 0.03, 0.01],
            "right": [0.025, 0.04, 0.005],
            "difference": [0.005, 0.01, -0.005],
            "low": [-0.001, 0.005, -0.009],
            "high": [0.009, 0.015, -0.001],
        }
    ),
    ("grocery", "kitchen"),
)
MODELS = pl.DataFrame(
    {
        "model": ["sequence", "sequence", "fused", "fused"],
        "slice": ["all", "cold"] * 2,
        "num_targets": [1200, 80] * 2,
        "value": [0.02, 0.0, 0.0251, 0.01],
        "difference": [0.0, 0.0, 0.0051, 0.01],
        "low": [0.0, 0.0, 0.001, 0.005],
        "high": [0.0, 0.0, 0.007, 0.015],
    }
)


def print_table(table: Table) -> list[str]:
    console = Console(file=StringIO(), width=200)
    console.print(table)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("interval", "color"), [((1e-9, 1), "green"), ((-1, -1e-9), "red"), ((0, 0), "dim")]
)
def test_colors_tell_what_is_beyond_chance(interval: tuple[float, float], color: str) -> None:
    assert gain_color(*interval) == color


def test_rows_hold_figures_and_flag_negative_transfer() -> None:
    lines = print_table(render_comparison(COMPARISON))
    grocery = next(line for line in lines if "grocery" in line)
    for text in ("2,000", "0.0300", "0.0400", "+0.0100", "+0.0050 … +0.0150"):
        assert text in grocery
    assert [line.split("│")[2].strip() for line in lines if "negative transfer" in line] == [
        "kitchen (negative transfer)"
    ]


def test_remarks_stand_below_the_tables() -> None:
    assert not any("ties" in line for line in print_table(render_comparison(COMPARISON)))
    remarks = ("ties: file [a]", "different protocols")
    for table in (
        render_comparison(replace(COMPARISON, remarks=remarks)),
        render_models(MODELS, "sequence", remarks),
    ):
        assert [line.strip() for line in print_table(table)[-2:]] == list(remarks)


def test_models_are_rows_and_slices_columns() -> None:
    lines = print_table(render_models(MODELS, "sequence"))
    assert any("all" in line and "cold" in line for line in lines)
    assert any("1,200" in line and "80" in line for line in lines)
    fused = next(index for index, line in enumerate(lines) if "fused" in line)
    assert "0.0251" in lines[fused]
    assert "+0.0010" in lines[fused + 1]
    assert sum("+0.0000" in line for line in lines) == 0  # the baseline has no interval


def test_a_model_without_a_slice_leaves_its_cell_empty() -> None:
    spread = MODELS.with_columns(std=pl.Series([None, None, 0.0012, 0.5]))
    lines = print_table(
        render_models(spread.filter(~pl.Series([0, 0, 1, 0]).cast(bool)), "sequence")
    )
    first = next(index for index, line in enumerate(lines) if "fused" in line)
    cells = [[cell.strip() for cell in line.split("│")[1:4]] for line in lines[first : first + 2]]
    assert cells == [["fused", "", "0.0100"], ["", "", "± 0.5000"]]


def test_transfer_flags_what_harms() -> None:
    row = {"slice": "all", "num_targets": 5000, "twin": 0.02, "joint": 0.03, "difference": 0.01}
    row |= {"low": 0.005, "high": 0.015, "gain": 0.5, "negative": False}
    worse = {"domain": "kitchen", "low": -0.02, "high": -0.01, "gain": None, "negative": True}
    table = pl.DataFrame([{"domain": "grocery", **row}, {**row, **worse}])
    lines = print_table(render_transfer(table, "fused"))
    grocery = next(line for line in lines if "grocery" in line)
    assert "+50.0%" in grocery
    assert "5,000" in grocery
    assert [line.split("│")[1].strip() for line in lines if "negative" in line] == ["kitchen"]
