"""What joint training gains over a twin that was trained on one domain alone."""

from collections.abc import Mapping

import polars as pl

from xrec_lightning.metrics.bootstrap import paired_bootstrap
from xrec_lightning.metrics.ranking import RankMetric
from xrec_lightning.reports.compare import MAIN_METRIC
from xrec_lightning.reports.page import Cell, section, table
from xrec_lightning.reports.ranks import (
    ALL,
    in_domains,
    pair_ranks,
    read_ranks,
    seed_values,
    slice_members,
    user_clusters,
)
from xrec_lightning.reports.seeds import Runs, name_runs
from xrec_lightning.schema import BUCKETS, DOMAIN


def transfer_table(
    joint: Runs,
    twins: Mapping[str, Runs],
    *,
    metric: RankMetric = MAIN_METRIC,
    num_resamples: int = 2000,
    seed: int = 0,
) -> pl.DataFrame:
    """Return the gain of a joint run over the single-domain twin of each domain.

    Args:
        joint: The run that was trained on all domains.
        twins: The run of each domain that was trained on that domain alone.
        metric: What the gain is measured in.
        num_resamples: Draws of the bootstrap.
        seed: Seed of the draws.

    Returns:
        One row a domain and slice (`all`, then the popularity buckets that have a target): domain,
        slice, num_targets, twin, joint, difference, low and high (its 95 % interval), gain
        (difference over twin, null where that is 0) and negative: whether the whole interval lies
        below zero.

    Raises:
        FileNotFoundError: If a run was not tested.
        ValueError: If a twin has no target of its domain, or other targets than the joint run.
    """
    joint_rows = read_ranks(joint)
    tables = []
    for domain, twin in twins.items():
        twin_rows = read_ranks(twin)
        for run, rows in ((joint, joint_rows), (twin, twin_rows)):
            if domain not in rows[DOMAIN]:
                tested = ", ".join(rows[DOMAIN].unique().sort())
                raise ValueError(
                    f"{name_runs(run)} was not tested in {domain}, but in {tested}; a twin is "
                    "given as DOMAIN=FOLDER"
                )
        left, right = in_domains(twin_rows, [domain]), in_domains(joint_rows, [domain])
        pairs = pair_ranks(left, right, twin, joint)
        tables.append(_domain_table(pairs, domain, metric, num_resamples, seed))
    return pl.concat(tables)


def negative_domains(gains: pl.DataFrame) -> tuple[str, ...]:
    """Return the domains that lose by joint training beyond chance."""
    return tuple(gains.filter(pl.col("slice") == ALL, pl.col("negative"))[DOMAIN])


def transfer_block(gains: pl.DataFrame, joint: str) -> str:
    """Return the section on the gain of joint training over single-domain twins.

    Args:
        gains: What `transfer_table` returns.
        joint: Name of the joint model.
    """
    header = [
        Cell(name) for name in ("domain", "slice", "targets", "twin", "joint", "difference", "gain")
    ]
    rows = []
    for row in gains.iter_rows(named=True):
        tone = "good" if row["low"] > 0 else "bad" if row["high"] < 0 else ""
        interval = f"{row['low']:+.4f} … {row['high']:+.4f}"
        rows.append(
            [
                Cell(row[DOMAIN], "negative transfer" * row["negative"], "bad"),
                Cell(row["slice"]),
                Cell(f"{row['num_targets']:,}"),
                Cell(f"{row['twin']:.4f}"),
                Cell(f"{row['joint']:.4f}"),
                Cell(f"{row['difference']:+.4f}", interval, tone),
                Cell("" if row["gain"] is None else f"{row['gain']:+.1%}"),
            ]
        )
    return section(
        f"What {joint} gains over single-domain twins",
        "NDCG@10 on the targets of a domain: the joint model less a twin of the same settings "
        "that was trained on that domain alone, with the 95 % interval of a paired bootstrap over "
        "users. Where the whole interval is below zero, training together harms.",
        table(header, rows),
    )


def _domain_table(
    pairs: pl.DataFrame, domain: str, metric: RankMetric, num_resamples: int, seed: int
) -> pl.DataFrame:
    twin = seed_values(pairs["rank"], [metric]).mean(axis=1)  # (B, 1)
    joint = seed_values(pairs["rank_right"], [metric]).mean(axis=1)
    masks = {name: slice_members(pairs, name) for name in (ALL, *BUCKETS)}
    masks = {name: mask for name, mask in masks.items() if mask.any()}
    rows = []
    for name, mask in masks.items():
        intervals = paired_bootstrap(
            (joint - twin)[mask],
            mask[mask][:, None],
            user_clusters(pairs)[mask],
            num_resamples=num_resamples,
            seed=seed,
        )
        value, difference = float(twin[mask].mean()), float(intervals.means[0, 0])
        rows.append(
            {
                DOMAIN: domain,
                "slice": name,
                "num_targets": int(mask.sum()),
                "twin": value,
                "joint": float(joint[mask].mean()),
                "difference": difference,
                "low": float(intervals.lows[0, 0]),
                "high": float(intervals.highs[0, 0]),
                "gain": difference / value if value > 0 else None,
                "negative": bool(intervals.highs[0, 0] < 0),
            }
        )
    return pl.DataFrame(rows, schema_overrides={"gain": pl.Float64})
