"""Comparison of test runs, target by target, with paired bootstrap intervals."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from xrec_lightning.atomic import write_text
from xrec_lightning.callbacks.rank_writer import METRICS_FILE, NUM_CANDIDATES, PER_USER_FILE, RANK
from xrec_lightning.metrics.bootstrap import paired_bootstrap
from xrec_lightning.metrics.ranking import NDCG, RankMetric, default_metrics
from xrec_lightning.reports.remarks import list_remarks, name_with_protocol
from xrec_lightning.schema import (
    COLD,
    DOMAIN,
    ITEM_ID,
    SLICES,
    TAIL,
    TIMESTAMP,
    USER_ID,
    WARM,
    slice_column,
)

ALL = "all"
TARGET_KEYS = (USER_ID, DOMAIN, ITEM_ID, TIMESTAMP)
OCCURRENCE = "occurrence"
MAIN_METRIC = NDCG(10)


@dataclass(frozen=True)
class Comparison:
    """Two runs over the same targets."""

    left: str
    """Folder of the run that is compared against."""
    right: str
    """Folder of the run whose gain is measured."""
    table: pl.DataFrame
    """One row a metric and slice: metric, slice, num_targets, left, right, difference (right less
    left), low and high (its 95 % interval)."""
    domains: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    """What must be known of the comparison: believed ties, unlike protocols."""

    @property
    def negative_transfer(self) -> tuple[str, ...]:
        """Domains where the right run is worse on NDCG@10 with the whole interval below zero."""
        is_worse = (pl.col("metric") == MAIN_METRIC.name) & (pl.col("high") < 0)
        worse = self.table.filter(is_worse & pl.col("slice").is_in(self.domains))
        return tuple(worse["slice"])

    def to_json(self) -> str:
        """Return the runs, the remarks, the table and the domains of negative transfer as JSON."""
        return json.dumps(
            {
                "left": self.left,
                "right": self.right,
                "remarks": self.remarks,
                "negative_transfer": self.negative_transfer,
                "table": self.table.to_dicts(),
            },
            indent=2,
        )


def compare_runs(
    left: Path, right: Path, *, num_resamples: int = 2000, seed: int = 0
) -> Comparison:
    """Return the difference of every metric on every slice, with its interval.

    Targets of one user are drawn together.

    Args:
        left: Run folder that is compared against.
        right: Run folder whose gain is measured.
        num_resamples: Draws of the bootstrap.
        seed: Seed of the draws.

    Raises:
        FileNotFoundError: If a folder holds no ranks.
        ValueError: If the runs were tested on different targets or candidates.
    """
    left_rows = read_ranks(left)
    pairs = _pair(left_rows, read_ranks(right), left, right)
    domains = tuple(left_rows[DOMAIN].unique().sort())
    names = [ALL, *domains, *(name for name in SLICES if slice_column(name) in pairs.columns)]
    table = _difference_table(pairs, names, default_metrics(), num_resamples, seed)
    remarks = list_remarks({str(left): left, str(right): right})
    return Comparison(str(left), str(right), table, domains, remarks)


def comparison_table(
    runs: Mapping[str, Path],
    baseline: str,
    *,
    slices: Sequence[str] = (WARM, TAIL, COLD),
    num_resamples: int = 2000,
    seed: int = 0,
) -> pl.DataFrame:
    """Return NDCG@10 of several models overall, in each domain and in some slices.

    Args:
        runs: Run folder of each model.
        baseline: Model in ``runs`` that the others are compared with.
        slices: Names of the slices.
        num_resamples: Draws of the bootstrap.
        seed: Seed of the draws.

    Returns:
        One row a model and slice, models in the order of ``runs``: model, slice, num_targets,
        value, difference (to the baseline), low and high (its 95 % interval). Slices without a
        target have no row.

    Raises:
        FileNotFoundError: If a folder holds no ranks.
        KeyError: If there is no such baseline.
        ValueError: If the runs were tested on different targets or candidates.
    """
    if baseline not in runs:
        raise KeyError(f"no run is named {baseline!r}; there are {', '.join(runs)}")
    base_rows = read_ranks(runs[baseline])
    names = [ALL, *base_rows[DOMAIN].unique().sort(), *slices]
    tables = []
    for model, folder in runs.items():
        pairs = _pair(base_rows, read_ranks(folder), runs[baseline], folder)
        table = _difference_table(pairs, names, [MAIN_METRIC], num_resamples, seed)
        tables.append(
            table.select(
                pl.lit(model).alias("model"),
                "slice",
                "num_targets",
                pl.col("right").alias("value"),
                "difference",
                "low",
                "high",
            )
        )
    return pl.concat(tables)


def write_comparison(runs: Mapping[str, Path], path: Path) -> None:
    """Write the flat metrics of each run, one object a model, as JSON.

    Raises:
        FileNotFoundError: If a run was not tested.
    """
    metrics = {}
    for model, folder in runs.items():
        file = folder / METRICS_FILE
        if not file.is_file():
            raise FileNotFoundError(f"{file} does not exist: test the run first (`xrec test`)")
        metrics[model] = json.loads(file.read_text(encoding="utf-8"))
    write_text(json.dumps(metrics, indent=2) + "\n", path)


def read_ranks(folder: Path) -> pl.DataFrame:
    """Return the ranks that a test wrote into a run folder.

    Raises:
        FileNotFoundError: If there are none.
    """
    file = folder / PER_USER_FILE
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist: test the run first (`xrec test`)")
    # Where repeats are kept, one target may occur twice.
    return pl.read_parquet(file).with_columns(
        pl.int_range(pl.len()).over(TARGET_KEYS).alias(OCCURRENCE)
    )


def _pair(
    left: pl.DataFrame, right: pl.DataFrame, left_folder: Path, right_folder: Path
) -> pl.DataFrame:
    """Return the left rows with the ranks of the right ones as ``rank_right``."""
    keys = [*TARGET_KEYS, OCCURRENCE]
    figures = right.select(*keys, RANK, NUM_CANDIDATES)
    pairs = left.join(figures, on=keys, how="inner", maintain_order="left")
    left_name, right_name = name_with_protocol(left_folder), name_with_protocol(right_folder)
    if not left.height == right.height == pairs.height:
        raise ValueError(
            f"{left_name} and {right_name} were tested on different targets: {left.height:,} and "
            f"{right.height:,}, of which {pairs.height:,} are shared; test both on one prepared "
            "data set"
        )
    differ = pairs.filter(pl.col(NUM_CANDIDATES) != pl.col(f"{NUM_CANDIDATES}_right"))
    if differ.height:
        first = differ.row(0, named=True)
        raise ValueError(
            f"{left_name} and {right_name} ranked different candidates for {differ.height:,} "
            f"targets, such as {first[NUM_CANDIDATES]:,} and {first[NUM_CANDIDATES + '_right']:,} "
            f"for user {first[USER_ID]!r}; test both on one prepared data set"
        )
    return pairs


def _difference_table(
    pairs: pl.DataFrame,
    names: list[str],
    metrics: list[RankMetric],
    num_resamples: int,
    seed: int,
) -> pl.DataFrame:
    left, right = _values(pairs[RANK], metrics), _values(pairs[f"{RANK}_right"], metrics)  # (B, M)
    mask = np.stack([_members(pairs, name) for name in names], axis=1)
    intervals = paired_bootstrap(
        right - left,
        mask,
        pairs[USER_ID].rank("dense").to_numpy().astype(np.int64),
        num_resamples=num_resamples,
        seed=seed,
    )
    return pl.DataFrame(
        [
            {
                "metric": metric.name,
                "slice": name,
                "num_targets": int(mask[:, row].sum()),
                "left": float(left[mask[:, row], column].mean()),
                "right": float(right[mask[:, row], column].mean()),
                "difference": float(intervals.means[row, column]),
                "low": float(intervals.lows[row, column]),
                "high": float(intervals.highs[row, column]),
            }
            for column, metric in enumerate(metrics)
            for row, name in enumerate(names)
            if mask[:, row].any()
        ]
    )


def _values(ranks: pl.Series, metrics: list[RankMetric]) -> NDArray[np.float64]:
    tensor = torch.from_numpy(ranks.to_numpy().astype(np.float64))
    return torch.stack([metric.values(tensor) for metric in metrics], dim=1).numpy()


def _members(pairs: pl.DataFrame, name: str) -> NDArray[np.bool_]:
    if name == ALL:
        return np.ones(pairs.height, dtype=bool)
    if name in SLICES:
        column = slice_column(name)
        is_member = (
            pairs[column] if column in pairs.columns else pl.repeat(False, pairs.height, eager=True)
        )
        return is_member.to_numpy()
    return (pairs[DOMAIN] == name).to_numpy()
