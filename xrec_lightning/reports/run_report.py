"""The HTML report of several tested runs: tables, plots and example recommendations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from xrec_lightning.atomic import write_text
from xrec_lightning.callbacks.prediction_writer import RANK
from xrec_lightning.metrics.ranking import default_metrics
from xrec_lightning.reports.compare import MAIN_METRIC, comparison_table
from xrec_lightning.reports.page import Cell, cards, details, figure, page, section, table
from xrec_lightning.reports.plots import (
    learning_curves,
    popularity_gains,
    read_curve,
    slice_bars,
)
from xrec_lightning.reports.ranks import ALL
from xrec_lightning.reports.remarks import list_remarks, read_figures
from xrec_lightning.reports.seeds import STD, Runs, folders_of
from xrec_lightning.reports.tables import show_value
from xrec_lightning.schema import (
    BUCKETS,
    COLD,
    DOMAIN,
    ITEM_ID,
    REASON,
    TAIL,
    TITLE,
    USER_ID,
    WARM,
)

SEQUENCE = "sequence"
CURVE_METRIC = f"val/{MAIN_METRIC.name}"
MAX_USERS = 5
MAX_RANK = 3
"""Users, and items of each domain, whose recommendations the report shows."""


def write_report(
    runs: Mapping[str, Runs],
    path: Path,
    recommendations: pl.DataFrame | None = None,
    *,
    baseline: str | None = None,
    title: str = "Recommendation across domains",
    more: Sequence[str] = (),
) -> None:
    """Write one self-contained HTML file about tested runs.

    Args:
        runs: Run folder of each model, or those of its seeds, in the order of the tables.
        path: File to be written.
        recommendations: Lists to be shown: user_id, domain, rank, item_id, title, reason.
        baseline: Model that the others are compared with; ``sequence`` if there is one, else the
            first.
        title: Title of the report.
        more: Further sections of HTML.

    Raises:
        FileNotFoundError: If a run was not tested.
        ImportError: If matplotlib is missing.
        KeyError: If there is no such baseline.
        ValueError: If the runs were tested on different targets or candidates.
    """
    baseline = baseline or (SEQUENCE if SEQUENCE in runs else next(iter(runs)))
    figures = comparison_table(runs, baseline, slices=(WARM, *BUCKETS))
    blocks = [*report_blocks(runs, figures, baseline), *more]
    if recommendations is not None and not recommendations.is_empty():
        blocks.append(_recommendations(recommendations))
    write_text(page(title, describe_targets(runs, figures), blocks), path)


def report_blocks(runs: Mapping[str, Runs], figures: pl.DataFrame, baseline: str) -> list[str]:
    """Return the sections on the figures of runs, as HTML.

    Args:
        runs: Run folder of each model, or those of its seeds.
        figures: Their `comparison_table`, with the slices `warm` and popularity.
        baseline: Model that the others are compared with.
    """
    return [
        cards(_headline(figures, baseline)),
        _slices(figures, baseline),
        *_gains(figures, baseline),
        *_curves(runs),
        section(
            "All metrics",
            "Means over targets, and over users where the name says so. Each target is one "
            "relevant item, so recall equals the hit rate and MAP equals MRR.",
            _metric_table(runs),
        ),
    ]


def describe_targets(runs: Mapping[str, Runs], figures: pl.DataFrame) -> str:
    """Return one line on what the models were tested on, and what must be known of it."""
    num_targets = int(figures.filter(slice=ALL)["num_targets"][0])
    lead = f"{len(runs)} models, tested on the same {num_targets:,} targets."
    remarks = list(list_remarks(runs))
    whole = set(figures.filter(slice=ALL)["model"])
    for model in runs:
        if model not in whole:
            domains = figures.filter(model=model)["slice"]
            remarks.append(f"{model} was tested in {', '.join(domains)} alone")
    return " ".join([lead, *(f"Mind: {each}." for each in remarks)])


def _slices(figures: pl.DataFrame, baseline: str) -> str:
    shown = figures.filter(~pl.col("slice").is_in(set(BUCKETS) - {TAIL, COLD}))
    return section(
        "NDCG@10 by domain and by popularity of the target",
        "Full ranking over all items of the target's domain, seen items removed, ties against the "
        f"model. Below each figure the 95 % interval of its difference to {baseline}: paired "
        "bootstrap over users. Colored intervals leave out zero.",
        _slice_table(shown, baseline),
        figure(slice_bars(shown, baseline), "NDCG@10 by slice and model"),
        _negative_transfer(figures),
    )


def _headline(figures: pl.DataFrame, baseline: str) -> list[tuple[str, str]]:
    """Return the figures of the best model, overall."""
    overall = figures.filter(slice=ALL).sort("value", descending=True, maintain_order=True)
    best = overall.row(0, named=True)
    base = overall.row(by_predicate=pl.col("model") == baseline, named=True)
    cards = [(f"{best['value']:.4f}", f"best NDCG@10 overall: {best['model']}")]
    if best["model"] != baseline and base["value"] > 0:
        ratio = best["value"] / base["value"]
        gain = f"{ratio - 1:+.0%}" if ratio < 10 else f"x {ratio:.0f}"
        interval = f"{best['low']:+.4f} … {best['high']:+.4f}"
        cards.append((gain, f"over {baseline} ({base['value']:.4f}); {interval}"))
    others = figures.filter(
        (pl.col("model") == best["model"]) & ~pl.col("slice").is_in([ALL, WARM, *BUCKETS])
    )
    gains = int((others["low"] > 0).sum())
    cards.append(
        (f"{gains} of {others.height}", f"domains where {best['model']} gains beyond chance")
    )
    return cards


def _slice_table(figures: pl.DataFrame, baseline: str) -> str:
    columns = figures.unique("slice", keep="first", maintain_order=True)
    best = dict(figures.group_by("slice").agg(pl.col("value").max()).iter_rows())
    header = [
        Cell("model"),
        *(
            Cell(name, f"{num_targets:,} targets")
            for name, num_targets in columns.select("slice", "num_targets").iter_rows()
        ),
    ]
    rows = [
        [
            Cell(model),
            *(
                _slice_cell(by_slice[name], best, baseline) if name in by_slice else Cell("")
                for name in columns["slice"]
            ),
        ]
        for model, by_slice in _by_model(figures).items()
    ]
    return table(header, rows)


def _by_model(figures: pl.DataFrame) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the row of each model and slice."""
    models: dict[str, dict[str, dict[str, Any]]] = {}
    for row in figures.iter_rows(named=True):
        models.setdefault(row["model"], {})[row["slice"]] = row
    return models


def _slice_cell(row: dict[str, Any], best: dict[str, float], baseline: str) -> Cell:
    is_best = 0 < row["value"] == best[row["slice"]]
    if row["model"] == baseline:
        return Cell(show_value(row), is_best=is_best)
    tone = "good" if row["low"] > 0 else "bad" if row["high"] < 0 else ""
    interval = f"{row['low']:+.4f} … {row['high']:+.4f}"
    return Cell(show_value(row), interval, tone, is_best=is_best)


def _negative_transfer(figures: pl.DataFrame) -> str:
    is_domain = ~pl.col("slice").is_in([ALL, WARM, *BUCKETS])
    worse = figures.filter(is_domain & (pl.col("high") < 0))
    if worse.is_empty():
        return "<p>No model is worse than the baseline in any domain beyond chance.</p>"
    rows = [
        [Cell(str(model)), Cell(", ".join(rows["slice"]))]
        for (model,), rows in worse.group_by(["model"], maintain_order=True)
    ]
    header = [Cell("model"), Cell("domains where it is worse than the baseline beyond chance")]
    return table(header, rows, kind="text")


def _gains(figures: pl.DataFrame, baseline: str) -> list[str]:
    if set(figures["model"]) == {baseline}:
        return []
    plot = figure(popularity_gains(figures, baseline), "Gain by popularity of the target")
    text = (
        "Where the gain comes from: items with few training events, or items with many. Bands are "
        "95 % intervals."
    )
    return [section(f"Gain over {baseline} by popularity", text, plot)]


def _curves(runs: Mapping[str, Runs]) -> list[str]:
    found = {model: read_curve(folders_of(run)[0], CURVE_METRIC) for model, run in runs.items()}
    curves = {model: curve for model, curve in found.items() if curve is not None}
    if not curves:
        return []
    plot = figure(
        learning_curves(curves, CURVE_METRIC, list(runs)), "Validation NDCG@10 along training"
    )
    text = "NDCG@10 on the validation targets after each epoch, of the models that train."
    return [section("Learning curves", text, plot)]


def _metric_table(runs: Mapping[str, Runs]) -> str:
    names = [metric.name for metric in default_metrics()]
    names += [f"{name}/user" for name in names[:2]]
    rows = []
    for model, run in runs.items():
        figures = read_figures(run)
        values = (figures.values.get(name) for name in names)
        believed = "" if figures.ties == "shuffle" else f"ties: {figures.ties}"
        rows.append(
            [
                Cell(model, believed),
                *(
                    Cell("" if value is None else f"{value:.4f}", _spread(figures.values, name))
                    for name, value in zip(names, values, strict=True)
                ),
            ]
        )
    return table([Cell("model"), *map(Cell, names)], rows)


def _spread(values: Mapping[str, float | None], name: str) -> str:
    std = values.get(f"{name}/{STD}")
    return "" if std is None else f"± {std:.4f}"


def _recommendations(lists: pl.DataFrame) -> str:
    """Return the first items of each domain for the first users."""
    users = lists[USER_ID].unique(maintain_order=True).head(MAX_USERS)
    header = [Cell(name) for name in (DOMAIN, RANK, TITLE, REASON)]
    blocks = []
    for index, user in enumerate(users):
        rows = lists.filter((pl.col(USER_ID) == user) & (pl.col(RANK) <= MAX_RANK))
        named = rows.with_columns(pl.coalesce(TITLE, ITEM_ID).alias(TITLE))
        cells = [
            [Cell("" if value is None else str(value)) for value in row]
            for row in named.select(DOMAIN, RANK, TITLE, REASON).iter_rows()
        ]
        blocks.append(details(f"User {user}", table(header, cells, "text"), is_open=index == 0))
    return section(
        "Recommendations",
        f"The first {MAX_RANK} items of each domain, with the channel that adds most to the score "
        "and the item of the history that causes it. Seen items and repeated texts are left out.",
        *blocks,
    )
