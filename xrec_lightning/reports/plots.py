"""Plots of test runs as SVG text; needs matplotlib, which the extra ``plots`` installs."""

from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from xrec_lightning.reports.embedding_map import EmbeddingMap
from xrec_lightning.schema import BUCKETS

COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")
"""Colors that also people with color-blindness tell apart (Paul Tol's bright scheme)."""

WIDTH = 10.4
"""Width of a plot, in inches."""

STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "xrec",
}


def slice_bars(table: pl.DataFrame, baseline: str) -> str:
    """Return bars of the metric of every model, grouped by slice.

    Whiskers are the 95 % interval of the difference to the baseline, drawn around the model's own
    value; the baseline itself has none.

    Args:
        table: What `comparison_table` returns: one row a model and slice.
        baseline: The model that the others are compared with.
    """
    slices = _values(table, "slice")
    models = _values(table, "model")
    width = 0.8 / len(models)

    def draw(axes: Any) -> None:
        for index, model in enumerate(models):
            rows = table.filter(model=model)
            places = np.array([slices.index(name) for name in rows["slice"]])
            places = places + (index - (len(models) - 1) / 2) * width
            color = COLORS[index % len(COLORS)]
            axes.bar(places, rows["value"], width * 0.92, label=model, color=color)
            if model != baseline:
                offset = rows["value"] - rows["difference"]
                axes.vlines(places, rows["low"] + offset, rows["high"] + offset, "#333333", lw=0.8)
        axes.set_xticks(range(len(slices)), slices)
        axes.grid(visible=False, axis="x")
        axes.set_ylim(bottom=0)
        axes.set_ylabel("NDCG@10")
        axes.legend(ncols=min(7, len(models)), loc="lower left", bbox_to_anchor=(0, 1.0))

    return _svg(draw, height=3.6)


def popularity_gains(table: pl.DataFrame, baseline: str) -> str:
    """Return each model's gain over the baseline along the popularity of the target.

    Args:
        table: One row a model and popularity bucket, with the columns of `comparison_table`.
        baseline: The model that the others are compared with.
    """
    models = _values(table, "model")
    table = table.filter(pl.col("slice").is_in(BUCKETS))
    table = table.with_columns(pl.col("slice").cast(pl.Enum(BUCKETS))).sort("slice")
    buckets = _values(table, "slice")
    labels = {"cold": "cold\n0", "tail": "tail\n1-3", "mid": "mid\n4-15", "head": "head\n> 15"}

    def draw(axes: Any) -> None:
        axes.axhline(0, color="#333333", lw=0.8)
        for index, model in enumerate(models):
            if model == baseline:
                continue
            rows = table.filter(model=model)
            places = [buckets.index(name) for name in rows["slice"]]
            color = COLORS[index % len(COLORS)]
            axes.fill_between(places, rows["low"], rows["high"], color=color, alpha=0.15, lw=0)
            axes.plot(places, rows["difference"], marker="o", ms=4, color=color, label=model)
        axes.set_xticks(range(len(buckets)), [labels[name] for name in buckets])
        axes.set_xlabel("training events of the target item")
        axes.set_ylabel(f"NDCG@10 less {baseline}")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    return _svg(draw, height=3.2)


def gain_lines(curves: pl.DataFrame, baseline: str, models: Sequence[str]) -> str:
    """Return each model's gain over the baseline along the training events of the target.

    Args:
        curves: What `gain_curves` returns: one row a model and bin of targets.
        baseline: The model that the others are compared with.
        models: All models of the report: each keeps its color from plot to plot.
    """

    def draw(axes: Any) -> None:
        axes.axhline(0, color="#333333", lw=0.8)
        for model in _values(curves, "model"):
            rows = curves.filter(model=model)
            color = COLORS[models.index(model) % len(COLORS)]
            axes.fill_between(
                rows["count"], rows["low"], rows["high"], color=color, alpha=0.15, lw=0
            )
            axes.plot(rows["count"], rows["difference"], marker=".", color=color, label=model)
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(left=0)
        axes.set_xlabel("training events of the target item")
        axes.set_ylabel(f"NDCG@10 less {baseline}")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    return _svg(draw, height=3.2)


def domain_maps(maps: Sequence[EmbeddingMap], domains: Sequence[str]) -> str:
    """Return maps of item vectors side by side, items colored by domain."""

    def draw(figure: Any) -> None:
        for axes, each in zip(figure.subplots(1, len(maps), squeeze=False)[0], maps, strict=True):
            for index, name in enumerate(domains):
                points = each.points[each.domain_ids == index]
                color = COLORS[index % len(COLORS)]
                axes.scatter(points[:, 0], points[:, 1], s=3, alpha=0.5, color=color, label=name)
            axes.set_title(f"{each.title}\n{each.share:.0%} of the variance lies between domains")
            axes.set(xticks=[], yticks=[])
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), markerscale=3)

    return _svg_figure(draw, height=4.4)


def learning_curves(curves: Mapping[str, pl.DataFrame], metric: str, models: Sequence[str]) -> str:
    """Return a metric of several runs along their training.

    Args:
        curves: The frame of each run, as `read_curve` returns it.
        metric: Name of the metric, for the axis.
        models: All models of the report: each keeps its color from plot to plot.
    """

    def draw(axes: Any) -> None:
        for model, curve in curves.items():
            color = COLORS[models.index(model) % len(COLORS)]
            axes.plot(curve["step"], curve["value"], marker=".", color=color, label=model)
        axes.set_xlabel("optimizer steps")
        axes.set_ylabel(metric)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    return _svg(draw, height=3.0)


def read_curve(folder: Path, metric: str) -> pl.DataFrame | None:
    """Return step and value of a metric from the newest CSV log of a run that holds it.

    Returns:
        Columns step and value; None when no log of the run has at least two values.
    """
    logs = sorted(folder.rglob("metrics.csv"), key=lambda file: file.stat().st_mtime)
    for file in reversed(logs):
        log = pl.read_csv(file, infer_schema_length=None)
        if metric not in log.columns or "step" not in log.columns:
            continue
        values = pl.col(metric).cast(pl.Float64).alias("value")
        curve = log.select(pl.col("step").cast(pl.Int64), values).drop_nulls()
        if curve.height > 1:
            return curve
    return None


def _values(table: pl.DataFrame, column: str) -> Sequence[str]:
    return table[column].unique(maintain_order=True).to_list()


def _svg(draw: Callable[[Any], None], height: float) -> str:
    """Return what ``draw`` puts on empty axes of a height in inches."""
    return _svg_figure(lambda figure: draw(figure.add_subplot()), height)


def _svg_figure(draw: Callable[[Any], None], height: float) -> str:
    """Return what ``draw`` puts on an empty figure of a height in inches."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'xrec-lightning[plots]'") from error
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure)
        text = StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()
