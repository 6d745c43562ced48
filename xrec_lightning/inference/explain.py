"""Why an item is recommended, as a sentence."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from xrec_lightning.batches import SequenceBatch
from xrec_lightning.models.fusion import Explanation
from xrec_lightning.schema import ITEM_ID, REASON, TEXT, TITLE

MAX_TITLE_LENGTH = 60
"""Characters of a title that a sentence shows."""


def short_titles(items: pl.DataFrame) -> pl.Series:
    """Return what each item is called in a sentence: its title, else its text, else its id.

    A title that several items share says too little: they are called by their texts.
    """
    own_title = pl.when(pl.len().over(TITLE) == 1).then(TITLE)
    name = pl.coalesce(own_title, TEXT, TITLE, ITEM_ID).str.replace_all(r"\s+", " ")
    is_long = name.str.len_chars() > MAX_TITLE_LENGTH
    short = name.str.slice(0, MAX_TITLE_LENGTH - 1).str.strip_chars_end(" ,.;:-") + "…"
    return items.select(pl.when(is_long).then(short).otherwise(name).alias(TITLE))[TITLE]


def reasons(
    explanation: Explanation, batch: SequenceBatch, titles: pl.Series, domains: Sequence[str]
) -> pl.Series:
    """Return a sentence for each explained item, row by row, ``B * K`` of them.

    A sentence names the channel that adds most to the score, its share of what the channels add,
    and the history item that adds most to that channel. For a user of whom no channel knows
    anything, only the popularity of the item is left; where all channels speak against every item,
    the best of them is called just that.

    Args:
        explanation: Channel scores and causes of B lists of K items.
        batch: The histories of the lists.
        titles: What each item is called; index k is at k - 1.
        domains: Names of the domains; index i is at i - 1.
    """
    positive = explanation.channel_scores.detach().float().clamp_min(0)  # (B, K, C)
    strongest = positive.max(dim=-1)
    shares = strongest.values / positive.sum(dim=-1).clamp_min(1e-12)  # (B, K)
    positions = explanation.causes.gather(2, strongest.indices[..., None])[..., 0]  # (B, K)
    causes = batch.item_ids.gather(1, positions.clamp_min(0)).masked_fill(positions < 0, 0)
    names = pl.Series(explanation.channel_names, dtype=pl.String)
    domain_names = pl.Series(domains, dtype=pl.String)
    target_domains = batch.target_domain_ids[:, :1].expand_as(causes)
    frame = pl.DataFrame(
        {
            "channel": names.gather(strongest.indices.flatten().cpu().numpy()),
            "percent": (100 * shares).round().int().flatten().cpu().numpy(),
            "cause": _names_of(causes.flatten().cpu().numpy(), titles),
            "is_silent": (explanation.channel_scores == 0).all(dim=-1).flatten().cpu().numpy(),
            "domain": _names_of(target_domains.flatten().cpu().numpy(), domain_names),
        }
    )
    return frame.select(_sentence(explanation).alias(REASON))[REASON]


def _names_of(indices: NDArray[np.int64], names: pl.Series) -> pl.Series:
    """Return the name of each index, null for padding."""
    padded = pl.concat([pl.Series(names.name, [None], dtype=pl.String), names])
    return padded.gather(indices)


def _sentence(explanation: Explanation) -> pl.Expr:
    spoken = list(zip(explanation.channel_names, explanation.phrases, strict=True))
    with_cause = pl.col("channel").replace({name: phrase.with_cause for name, phrase in spoken})
    alone = pl.col("channel").replace({name: phrase.alone for name, phrase in spoken})
    share = pl.format(" ({} {} %)", "channel", "percent")
    return (
        pl.when("is_silent")
        .then(pl.format("popular in {}", "domain"))
        .when(pl.col("percent") == 0)
        .then(pl.format("best of what is left in {}", "domain"))
        .when(pl.col("cause").is_null())
        .then(alone + share)
        .otherwise(pl.format('{} "{}"', with_cause, "cause") + share)
    )
