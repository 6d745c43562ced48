"""``xrec compare``: the paired differences of test runs, in the terminal, as JSON and as a page."""

import json
import logging
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from rich.console import Console

from xrec_lightning.atomic import write_text
from xrec_lightning.cli import XrecCLI, build_run, load_best
from xrec_lightning.commands.report import named_runs
from xrec_lightning.data.errors import InputError
from xrec_lightning.modules.fusion import FusionRecommender
from xrec_lightning.reports.compare import compare_runs, comparison_table
from xrec_lightning.reports.embedding_map import draw_map, home_domains
from xrec_lightning.reports.page import figure, section
from xrec_lightning.reports.plots import domain_maps, gain_lines
from xrec_lightning.reports.popularity import gain_curves, read_item_counts
from xrec_lightning.reports.remarks import list_remarks
from xrec_lightning.reports.run_report import write_report
from xrec_lightning.reports.seeds import Runs, find_runs, folders_of
from xrec_lightning.reports.tables import render_comparison, render_models, render_transfer
from xrec_lightning.reports.transfer import transfer_block, transfer_table

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> None:
    """Print the gain of runs over the first one, by metric and slice.

    Raises:
        InputError: If there is nothing to compare with.
    """
    options = _parser().parse_args(arguments)
    runs = name_folders(options.runs)
    baseline, *others = runs
    if not others and not options.twins:
        raise InputError(f"{baseline}: name a second run, or --twins, to compare it with")
    draws: dict[str, Any] = {"num_resamples": options.resamples, "seed": options.seed}
    console = Console()
    comparisons = [compare_runs(runs[baseline], runs[name], **draws) for name in others]
    if len(others) == 1:
        console.print(render_comparison(comparisons[0]))
    elif others:
        table = comparison_table(runs, baseline, **draws)
        console.print(render_models(table, baseline, list_remarks(runs)))
    joint, gains = list(runs)[-1], None
    if options.twins:
        gains = transfer_table(runs[joint], dict(map(named_runs, options.twins)), **draws)
        console.print(render_transfer(gains, joint))
    if options.json is not None:
        results = [each.to_dict() for each in comparisons]
        content = results[0] if len(results) == 1 else {"comparisons": results}
        content = content if gains is None else {**content, "transfer": gains.to_dicts()}
        write_text(json.dumps(content, indent=2) + "\n", options.json)
    if options.html is not None:
        _write_page(runs, options, gains)


def name_folders(texts: Sequence[str]) -> dict[str, tuple[Path, ...]]:
    """Return the run folders by name, which is that of the folder where none is given.

    Raises:
        InputError: If two runs have one name.
    """
    named = [
        named_runs(text) if "=" in text else (text.rstrip("/"), find_runs(text)) for text in texts
    ]
    short = [Path(name).name for name, _ in named]
    is_clear = len(set(short)) == len(short)
    runs = {
        (each if is_clear else name): run for each, (name, run) in zip(short, named, strict=True)
    }
    if len(runs) < len(named):
        raise InputError(f"two runs have one name: {', '.join(texts)}; give them as NAME=FOLDER")
    return runs


def _write_page(runs: Mapping[str, Runs], options: Namespace, gains: pl.DataFrame | None) -> None:
    baseline, joint = next(iter(runs)), list(runs)[-1]
    more = [] if gains is None else [transfer_block(gains, joint)]
    more += _popularity_block(runs, baseline)
    more += [block for name, run in runs.items() for block in _map_block(name, folders_of(run)[0])]
    write_report(runs, options.html, baseline=baseline, title="Comparison of runs", more=more)


def _popularity_block(runs: Mapping[str, Runs], baseline: str) -> list[str]:
    """Return the curve of the gain along popularity, where the data are at hand."""
    counts = read_item_counts(runs[baseline])
    curves = pl.DataFrame() if counts is None else gain_curves(runs, baseline, counts)
    if counts is None:
        logger.warning("no gain along popularity: the data of %s are not at hand", baseline)
    if curves.is_empty():
        return []
    plot = figure(gain_lines(curves, baseline, list(runs)), "Gain along popularity")
    text = (
        "Targets in bins of about equal size by the training events of their item; each point is "
        "the mean over a bin and its neighbors, each band its 95 % interval."
    )
    return [section(f"Gain over {baseline} along popularity", text, plot)]


def _map_block(name: str, folder: Path) -> list[str]:
    """Return maps of the item keys of a fusion run before and after training, if it has any."""
    try:
        run = build_run(folder)
        before = _item_keys(run)
        load_best(run, folder)
    except (OSError, ValueError) as error:  # data or checkpoint are elsewhere: figures are enough
        logger.warning("no map of the items of %s: %s", name, error)
        return []
    after = _item_keys(run)
    if before is None or after is None:
        return []
    catalog = run.datamodule.catalog
    homes = home_domains([ids.numpy() for ids in catalog.candidates], catalog.num_items)
    is_shown = homes >= 0
    maps = [
        draw_map(title, keys[is_shown], homes[is_shown])
        for title, keys in (("before training", before), ("after training", after))
    ]
    plot = figure(domain_maps(maps, catalog.domains), "Items in the plane")
    text = (
        "Keys of the items of one domain alone, on the two axes along which they vary most. Where "
        "training brings the domains together, one can help the other."
    )
    return [section(f"Items of {name} by domain", text, plot)]


def _item_keys(run: XrecCLI) -> np.ndarray | None:
    """Return the keys of all items, of all channels side by side, shape ``(N, D)``."""
    if not isinstance(run.model, FusionRecommender):
        return None
    run.model.eval()
    with torch.no_grad():
        keys = [channel.keys()[1:] for channel in run.model.scorer.channel_list()]
        return torch.cat(keys, dim=1).double().numpy()


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="xrec compare",
        description="Print the difference of every metric on every slice between tested runs, "
        "with its paired bootstrap 95 % interval. A run that was tested in some domains only is "
        "compared in those.",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="run folders, the first of which the others are compared with; NAME=FOLDER names one, "
        "and a pattern or folders with commas between are seeds of one model",
    )
    parser.add_argument(
        "--twins",
        nargs="+",
        default=[],
        metavar="DOMAIN=FOLDER",
        help="runs trained on one domain alone; the last run's gain over each of them is shown",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables as JSON too")
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="page with bars by slice, gain along popularity, learning curves, maps of the items",
    )
    parser.add_argument("--resamples", type=int, default=2000, help="draws of the bootstrap")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws")
    return parser
