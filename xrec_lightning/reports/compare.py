"""Comparison of test runs, target by target, with paired bootstrap intervals."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from xrec_lightning.atomic import write_text
from xrec_lightning.callbacks.rank_writer import RANK
from xrec_lightning.metrics.bootstrap import paired_bootstrap
from xrec_lightning.metrics.ranking import NDCG, RankMetric, default_metrics
from xrec_lightning.reports.ranks import (
    ALL,
    in_domains,
    pair_ranks,
    read_ranks,
    seed_values,
    shared_domains,
    slice_members,
    user_clusters,
)
from xrec_lightning.reports.remarks import list_remarks
from xrec_lightning.reports.seeds import Runs, merge_figures, name_runs
from xrec_lightning.schema import COLD, DOMAIN, SLICES, TAIL, WARM, slice_column

MAIN_METRIC = NDCG(10)


@dataclass(frozen=True)
class Comparison:
    """Two runs over the same targets."""

    left: str
    """Folder of the run that is compared against."""
    right: str
    """Folder of the run whose gain is measured."""
    table: pl.DataFrame
    """One row a metric and slice: metric, slice, num_targets, left, right, std (of the right one
    over its seeds) and seeds (their number), difference (right less left), low and high (its 95 %
    interval)."""
    domains: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    """What must be known of the comparison: believed ties, unlike protocols."""

    @property
    def negative_transfer(self) -> tuple[str, ...]:
        """Domains where the right run is worse on NDCG@10 with the whole interval below zero."""
        is_worse = (pl.col("metric") == MAIN_METRIC.name) & (pl.col("high") < 0)
        worse = self.table.filter(is_worse & pl.col("slice").is_in(self.domains))
        return tuple(worse["slice"])

    def to_dict(self) -> dict[str, Any]:
        """Return the runs, the remarks, the table and the domains of negative transfer."""
        return {
            "left": self.left,
            "right": self.right,
            "remarks": self.remarks,
            "negative_transfer": self.negative_transfer,
            "table": self.table.to_dicts(),
        }


def compare_runs(
    left: Runs, right: Runs, *, num_resamples: int = 2000, seed: int = 0
) -> Comparison:
    """Return the difference of every metric on every slice, with its interval.

    Targets of one user are drawn together; of several seeds, a target's mean counts. Where one run
    was tested in more domains than the other, the shared ones are compared and a remark says so.

    Args:
        left: Run folder that is compared against, or those of several seeds.
        right: Run folder whose gain is measured, or those of several seeds.
        num_resamples: Draws of the bootstrap.
        seed: Seed of the draws.

    Raises:
        FileNotFoundError: If a folder holds no ranks.
        ValueError: If the runs were tested on different targets or candidates.
    """
    pairs, shared = pair_runs(left, right)
    domains = tuple(pairs[DOMAIN].unique().sort())
    names = [ALL, *domains, *(name for name in SLICES if slice_column(name) in pairs.columns)]
    table = _difference_table(pairs, names, default_metrics(), num_resamples, seed)
    remarks = list_remarks({name_runs(left): left, name_runs(right): right})
    if shared is not None:
        remarks += (
            f"compared on the {pairs.height:,} targets of {', '.join(shared)} alone: one of the "
            "runs was tested in no other domain",
        )
    return Comparison(name_runs(left), name_runs(right), table, domains, remarks)


def comparison_table(
    runs: Mapping[str, Runs],
    baseline: str,
    *,
    slices: Sequence[str] = (WARM, TAIL, COLD),
    num_resamples: int = 2000,
    seed: int = 0,
) -> pl.DataFrame:
    """Return NDCG@10 of several models overall, in each domain and in some slices.

    Args:
        runs: Run folder of each model, or those of its seeds.
        baseline: Model in ``runs`` that the others are compared with.
        slices: Names of the slices.
        num_resamples: Draws of the bootstrap.
        seed: Seed of the draws.

    Returns:
        One row a model and slice, models in the order of ``runs``: model, slice, num_targets,
        value, std (over the seeds, null of one), seeds (their number), difference (to the
        baseline), low and high (its 95 % interval). Slices without a target have no row; a model
        that was tested in some domains of the baseline only has rows for those domains alone.

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
    for model, run in runs.items():
        pairs, shared = _pair(base_rows, read_ranks(run), runs[baseline], run)
        shown = names if shared is None else list(shared)
        table = _difference_table(pairs, shown, [MAIN_METRIC], num_resamples, seed)
        tables.append(
            table.select(
                pl.lit(model).alias("model"),
                "slice",
                "num_targets",
                pl.col("right").alias("value"),
                "std",
                "seeds",
                "difference",
                "low",
                "high",
            )
        )
    return pl.concat(tables)


def pair_runs(left: Runs, right: Runs) -> tuple[pl.DataFrame, tuple[str, ...] | None]:
    """Return the targets of both runs, and the domains that they are limited to, if they are.

    Raises:
        FileNotFoundError: If a folder holds no ranks.
        ValueError: If the runs were tested on different targets or candidates.
    """
    return _pair(read_ranks(left), read_ranks(right), left, right)


def write_comparison(runs: Mapping[str, Runs], path: Path) -> None:
    """Write the flat metrics of each run, one object a model, as JSON.

    Of several seeds, they are means, with the deviation of each ``key`` as ``key/std``.

    Raises:
        FileNotFoundError: If a run was not tested.
    """
    metrics = {model: merge_figures(run) for model, run in runs.items()}
    write_text(json.dumps(metrics, indent=2) + "\n", path)


def _pair(
    left: pl.DataFrame, right: pl.DataFrame, left_run: Runs, right_run: Runs
) -> tuple[pl.DataFrame, tuple[str, ...] | None]:
    shared = shared_domains(left, right)
    if shared is not None:
        left, right = in_domains(left, shared), in_domains(right, shared)
    return pair_ranks(left, right, left_run, right_run), shared


def _difference_table(
    pairs: pl.DataFrame,
    names: list[str],
    metrics: list[RankMetric],
    num_resamples: int,
    seed: int,
) -> pl.DataFrame:
    seeds = seed_values(pairs[f"{RANK}_right"], metrics)  # (B, S, M)
    left, right = seed_values(pairs[RANK], metrics).mean(axis=1), seeds.mean(axis=1)  # (B, M)
    mask = np.stack([slice_members(pairs, name) for name in names], axis=1)
    intervals = paired_bootstrap(
        right - left,
        mask,
        user_clusters(pairs),
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
                "std": _deviation(seeds[mask[:, row], :, column]),
                "seeds": seeds.shape[1],
                "difference": float(intervals.means[row, column]),
                "low": float(intervals.lows[row, column]),
                "high": float(intervals.highs[row, column]),
            }
            for column, metric in enumerate(metrics)
            for row, name in enumerate(names)
            if mask[:, row].any()
        ],
        schema_overrides={"std": pl.Float64},
    )


def _deviation(values: NDArray[np.float64]) -> float | None:
    """Return the sample standard deviation over seeds of a mean over targets, ``(B, S)``."""
    return float(values.mean(axis=0).std(ddof=1)) if values.shape[1] > 1 else None
