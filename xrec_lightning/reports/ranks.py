"""The ranks of tested targets: read, paired between runs, turned into metrics."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from xrec_lightning.callbacks.rank_writer import NUM_CANDIDATES, PER_USER_FILE, RANK
from xrec_lightning.metrics.ranking import RankMetric
from xrec_lightning.reports.remarks import name_with_protocol
from xrec_lightning.reports.seeds import Runs, folders_of
from xrec_lightning.schema import DOMAIN, ITEM_ID, SLICES, TIMESTAMP, USER_ID, slice_column

ALL = "all"
TARGET_KEYS = (USER_ID, DOMAIN, ITEM_ID, TIMESTAMP)
OCCURRENCE = "occurrence"
_KEYS = [*TARGET_KEYS, OCCURRENCE]


def read_ranks(runs: Runs) -> pl.DataFrame:
    """Return the tested targets of runs that differ by seed: their keys, slices and ranks.

    Returns:
        One row a target; ``rank`` is the list of its ranks, one a seed.

    Raises:
        FileNotFoundError: If a folder holds no ranks.
        ValueError: If the seeds were tested on different targets or candidates.
    """
    folders = folders_of(runs)
    rows = _read(folders[0])
    for folder in folders[1:]:
        rows = pair_ranks(rows, _read(folder), folders[0], folder)
        both = pl.concat_list(RANK, f"{RANK}_right")
        rows = rows.with_columns(both.alias(RANK)).select(pl.exclude("^.*_right$"))
    return rows


def pair_ranks(
    left: pl.DataFrame, right: pl.DataFrame, left_run: Runs, right_run: Runs
) -> pl.DataFrame:
    """Return the left rows with the ranks of the right ones as ``rank_right``.

    Raises:
        ValueError: If targets or candidates differ.
    """
    figures = right.select(*_KEYS, RANK, NUM_CANDIDATES)
    pairs = left.join(figures, on=_KEYS, how="inner", maintain_order="left")
    names = " and ".join(name_with_protocol(run) for run in (left_run, right_run))
    if not left.height == right.height == pairs.height:
        raise ValueError(
            f"{names} were tested on different targets: {left.height:,} and "
            f"{right.height:,}, of which {pairs.height:,} are shared; test both on one prepared "
            "data set"
        )
    differ = pairs.filter(pl.col(NUM_CANDIDATES) != pl.col(f"{NUM_CANDIDATES}_right"))
    if differ.height:
        first = differ.row(0, named=True)
        raise ValueError(
            f"{names} ranked different candidates for {differ.height:,} "
            f"targets, such as {first[NUM_CANDIDATES]:,} and {first[NUM_CANDIDATES + '_right']:,} "
            f"for user {first[USER_ID]!r}; test both on one prepared data set"
        )
    return pairs


def shared_domains(left: pl.DataFrame, right: pl.DataFrame) -> tuple[str, ...] | None:
    """Return the domains that both were tested in, where one was tested in more than the other.

    A run that was tested in some domains only, such as a single-domain twin, is compared in those.

    Returns:
        ``None`` where both were tested in the same domains, or in none that is shared.
    """
    domains = [set(rows[DOMAIN].unique()) for rows in (left, right)]
    shared = domains[0] & domains[1]
    return None if domains[0] == domains[1] or not shared else tuple(sorted(shared))


def in_domains(rows: pl.DataFrame, domains: Sequence[str]) -> pl.DataFrame:
    """Return the targets of some domains."""
    return rows.filter(pl.col(DOMAIN).is_in(list(domains)))


def seed_values(ranks: pl.Series, metrics: Sequence[RankMetric]) -> NDArray[np.float64]:
    """Return metrics of lists of ranks, one a seed, shape ``(B, S, M)``."""
    flat = torch.from_numpy(ranks.explode().to_numpy().astype(np.float64))
    values = torch.stack([metric.values(flat) for metric in metrics], dim=1)
    return values.view(len(ranks), -1, len(metrics)).numpy()


def slice_members(rows: pl.DataFrame, name: str) -> NDArray[np.bool_]:
    """Return which targets are in a slice: `all`, a domain or a marked one, shape ``(B,)``."""
    if name == ALL:
        return np.ones(rows.height, dtype=bool)
    if name not in SLICES:
        return (rows[DOMAIN] == name).to_numpy()
    column = slice_column(name)
    if column not in rows.columns:
        return np.zeros(rows.height, dtype=bool)
    return rows[column].to_numpy()


def user_clusters(rows: pl.DataFrame) -> NDArray[np.int64]:
    """Return a number for the user of each target: users are drawn as a whole, shape ``(B,)``."""
    return rows[USER_ID].rank("dense").to_numpy().astype(np.int64)


def _read(folder: Path) -> pl.DataFrame:
    file = folder / PER_USER_FILE
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist: test the run first (`xrec test`)")
    # Where repeats are kept, one target may occur twice.
    return pl.read_parquet(file).with_columns(
        pl.concat_list(RANK), pl.int_range(pl.len()).over(TARGET_KEYS).alias(OCCURRENCE)
    )
