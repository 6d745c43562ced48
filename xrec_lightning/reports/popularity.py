"""How the gain of a model runs along the popularity of the items that are looked for."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from numpy.typing import NDArray

from xrec_lightning.callbacks.save_config import CONFIG_FILE
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.metrics.bootstrap import paired_bootstrap
from xrec_lightning.reports.compare import MAIN_METRIC, pair_runs
from xrec_lightning.reports.ranks import seed_values, user_clusters
from xrec_lightning.reports.seeds import Runs, folders_of
from xrec_lightning.schema import ITEM_ID, TRAIN_COUNT

NUM_BINS = 12
WIDTH = 3
"""Bins that a point of the curve is the mean of: its own and its neighbors."""


def read_item_counts(run: Runs) -> pl.DataFrame | None:
    """Return the training events of each item of the data that a run was tested on.

    Returns:
        Columns item_id and train_count; ``None`` where the prepared data are not at hand.
    """
    config = folders_of(run)[0] / CONFIG_FILE
    if not config.is_file():
        return None
    data = yaml.safe_load(config.read_text(encoding="utf-8")).get("data") or {}
    dataset = (data.get("init_args") or {}).get("dataset")
    try:
        return None if dataset is None else _item_counts(Path(dataset))
    except (OSError, ValueError):  # moved, or not prepared on this machine
        return None


def gain_curves(
    runs: Mapping[str, Runs],
    baseline: str,
    counts: pl.DataFrame,
    *,
    num_resamples: int = 1000,
    seed: int = 0,
) -> pl.DataFrame:
    """Return the gain of each model over a baseline along the training events of the target.

    Targets are sorted into bins of about equal size, those of one count into one bin; a point is
    the mean over a bin and its neighbors.

    Args:
        runs: Run folder of each model, or those of its seeds.
        baseline: Model in ``runs`` that the others are compared with.
        counts: Columns item_id and train_count.
        num_resamples: Draws of the bootstrap.
        seed: Seed of the draws.

    Returns:
        One row a model and bin: model, count (mean of the bin's targets), num_targets, difference
        in NDCG@10, low and high (its 95 % interval). Targets of unknown items are left out.
    """
    tables = []
    for model in runs:
        if model == baseline:
            continue
        pairs = pair_runs(runs[baseline], runs[model])[0].join(
            counts, on=ITEM_ID, how="inner", maintain_order="left"
        )
        if pairs.is_empty():
            continue
        values = [seed_values(pairs[name], [MAIN_METRIC]) for name in ("rank_right", "rank")]
        gains = values[0].mean(axis=1) - values[1].mean(axis=1)  # (B, 1)
        item_counts = pairs[TRAIN_COUNT].to_numpy()
        bins = bin_counts(item_counts, NUM_BINS)
        places = np.arange(bins.max() + 1)
        is_near = np.abs(bins[:, None] - places) <= WIDTH // 2  # (B, bins)
        intervals = paired_bootstrap(
            gains, is_near, user_clusters(pairs), num_resamples=num_resamples, seed=seed
        )
        table = {
            "count": [float(item_counts[bins == place].mean()) for place in places],
            "num_targets": [int((bins == place).sum()) for place in places],
            "difference": intervals.means[:, 0],
            "low": intervals.lows[:, 0],
            "high": intervals.highs[:, 0],
        }
        tables.append(pl.DataFrame(table).select(pl.lit(model).alias("model"), pl.all()))
    return pl.concat(tables) if tables else pl.DataFrame()


def bin_counts(counts: NDArray[np.integer], num_bins: int) -> NDArray[np.int64]:
    """Return the bin of each count, from 0 on; at most ``num_bins``, equal counts in one.

    Example:
        >>> bin_counts(np.array([0, 0, 0, 1, 2, 9]), 2).tolist()
        [0, 0, 0, 1, 1, 1]
    """
    cuts = np.quantile(counts, np.arange(1, num_bins) / num_bins, method="higher")
    places = np.searchsorted(np.unique(cuts), counts, side="right")
    bins: NDArray[np.int64] = np.unique(places, return_inverse=True)[1].astype(np.int64)
    return bins


def _item_counts(dataset: Path) -> pl.DataFrame:
    return Prepared.open(locate(dataset)).items().select(ITEM_ID, TRAIN_COUNT)
