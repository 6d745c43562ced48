"""Comparisons as tables for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from rich.markup import escape
from rich.table import Table

from xrec_lightning.reports.compare import MAIN_METRIC, Comparison


def render_comparison(comparison: Comparison) -> Table:
    """Return the comparison as a table for the terminal; differences beyond chance are colored."""
    table = Table(
        title=escape(f"{comparison.right} less {comparison.left}"),
        title_justify="left",
        caption=_caption(comparison.remarks),
        caption_justify="left",
    )
    for header in ("metric", "slice"):
        table.add_column(header)
    for header in ("targets", "left", "right", "difference", "95 % interval"):
        table.add_column(header, justify="right")
    negative = comparison.negative_transfer
    for row in comparison.table.iter_rows(named=True):
        color = gain_color(row["low"], row["high"])
        is_negative = row["metric"] == MAIN_METRIC.name and row["slice"] in negative
        table.add_row(
            row["metric"],
            escape(row["slice"]) + (" (negative transfer)" if is_negative else ""),
            f"{row['num_targets']:,}",
            f"{row['left']:.4f}",
            f"{row['right']:.4f}",
            f"[{color}]{row['difference']:+.4f}[/]",
            f"{row['low']:+.4f} … {row['high']:+.4f}",
            end_section=row["slice"] == comparison.table["slice"][-1],
        )
    return table


def render_models(table: pl.DataFrame, baseline: str, remarks: Sequence[str] = ()) -> Table:
    """Return the result of `comparison_table` for the terminal: rows models, columns slices.

    Each cell holds NDCG@10, over several seeds with its standard deviation, and below it the 95 %
    interval of the difference to the baseline; the remarks, if there are any, stand below the
    table.
    """
    rendered = Table(
        title=f"NDCG@10, and below it the 95 % interval of the difference to {escape(baseline)}",
        title_justify="left",
        caption=_caption(remarks),
        caption_justify="left",
        show_lines=True,
    )
    rendered.add_column("model")
    columns = table.unique("slice", keep="first", maintain_order=True)
    for name, num_targets in columns.select("slice", "num_targets").iter_rows():
        rendered.add_column(f"{escape(name)}\n{num_targets:,}", justify="right")
    for (model,), rows in table.group_by(["model"], maintain_order=True):
        by_slice = {row["slice"]: row for row in rows.iter_rows(named=True)}
        cells = [_model_cell(by_slice.get(name), baseline) for name in columns["slice"]]
        rendered.add_row(escape(str(model)), *cells)
    return rendered


def render_transfer(table: pl.DataFrame, joint: str) -> Table:
    """Return the result of `transfer_table` for the terminal."""
    rendered = Table(
        title=f"NDCG@10 of {escape(joint)} less that of the twin trained on the domain alone",
        title_justify="left",
    )
    rendered.add_column("domain")
    rendered.add_column("slice")
    for header in ("targets", "twin", "joint", "difference", "gain", "95 % interval"):
        rendered.add_column(header, justify="right")
    for row in table.iter_rows(named=True):
        color = gain_color(row["low"], row["high"])
        flag = " (negative transfer)" if row["negative"] else ""
        rendered.add_row(
            escape(row["domain"]),
            row["slice"] + flag,
            f"{row['num_targets']:,}",
            f"{row['twin']:.4f}",
            f"{row['joint']:.4f}",
            f"[{color}]{row['difference']:+.4f}[/]",
            "" if row["gain"] is None else f"{row['gain']:+.1%}",
            f"{row['low']:+.4f} … {row['high']:+.4f}",
        )
    return rendered


def show_value(row: Mapping[str, Any]) -> str:
    """Return the value of a row of `comparison_table`, with its deviation over seeds, if any.

    Example:
        >>> show_value({"value": 0.0251, "std": None}), show_value({"value": 0.0251, "std": 0.0003})
        ('0.0251', '0.0251 ± 0.0003')
    """
    std = row.get("std")
    return f"{row['value']:.4f}" + ("" if std is None else f" ± {std:.4f}")


def _model_cell(row: Mapping[str, Any] | None, baseline: str) -> str:
    if row is None:
        return ""
    value = show_value(row).replace(" ±", "\n±")
    if row["model"] == baseline:
        return value
    color = gain_color(row["low"], row["high"])
    return f"{value}\n[{color}]{row['low']:+.4f}\n{row['high']:+.4f}[/]"


def gain_color(low: float, high: float) -> str:
    """Return green for an interval above zero, red for one below, else dim.

    Example:
        >>> gain_color(0.1, 0.2), gain_color(-0.2, -0.1), gain_color(-0.1, 0.1)
        ('green', 'red', 'dim')
    """
    if low > 0:
        return "green"
    return "red" if high < 0 else "dim"


def _caption(remarks: Sequence[str]) -> str | None:
    return escape("\n".join(remarks)) if remarks else None
