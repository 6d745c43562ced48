"""The `cold_items` protocol: items hidden from training, targets and histories, then tested."""

import numpy as np
import polars as pl

from xrec_lightning import schema


def choose_hidden(
    items: pl.DataFrame, interactions: pl.DataFrame, share: float, seed: int
) -> pl.Series:
    """Return the ids of the hidden items: a seeded share of those with text and with events.

    Args:
        items: One row an item, sorted by id, with its `text`.
        interactions: All interactions.
        share: Share of the items with text that are hidden; rounded to whole items.
        seed: Decides which.
    """
    seen = interactions.select(pl.col(schema.ITEM_ID).unique())
    eligible = (
        items.filter(pl.col(schema.TEXT).is_not_null())
        .join(seen, on=schema.ITEM_ID, how="semi")[schema.ITEM_ID]
        .sort()
    )
    # Another stream than that of the ties, which starts from the bare seed.
    generator = np.random.default_rng([seed, 1])
    chosen = generator.choice(len(eligible), size=round(share * len(eligible)), replace=False)
    return eligible.gather(np.sort(chosen))
