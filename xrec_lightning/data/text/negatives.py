"""Items to tell choices from: of the same domain, as popular, never taken by the user."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.clicks import Examples
from xrec_lightning.data.text.labels import DislikedItems
from xrec_lightning.schema import (
    DOMAIN_INDEX,
    DOMAINS,
    IS_HIDDEN,
    ITEM_INDEX,
    TEXT,
    TRAIN_COUNT,
    USER_INDEX,
)

Ints = NDArray[np.integer]

_CHUNK = 4096
"""Choices whose negatives are drawn at once, which bounds the memory."""


class MatchedNegatives:
    """Draw items of the same domain and like popularity that the user never took.

    Args:
        prepared: A prepared data set.
        width: Candidates are the nearest ``width`` items of the domain in popularity, with text.
    """

    def __init__(self, prepared: Prepared, width: int = 64) -> None:
        self.width = width
        self.size = prepared.items().height + 1
        domains = pl.DataFrame({DOMAINS: prepared.domains}).with_row_index(DOMAIN_INDEX, offset=1)
        ordered = (
            prepared.items()
            .filter(pl.col(TEXT).is_not_null() & ~pl.col(IS_HIDDEN))
            .select(ITEM_INDEX, DOMAINS, TRAIN_COUNT)
            .explode(DOMAINS)
            .join(domains, on=DOMAINS)
            .sort(DOMAIN_INDEX, TRAIN_COUNT, ITEM_INDEX)
        )
        self.ordered: Ints = ordered[ITEM_INDEX].to_numpy().astype(np.int64)
        """Items of all domains, by domain and popularity."""
        keys = ordered[DOMAIN_INDEX].to_numpy().astype(np.int64) * self.size + self.ordered
        self.order = np.argsort(keys)
        self.keys = keys[self.order]
        counts = np.bincount(ordered[DOMAIN_INDEX].to_numpy(), minlength=len(domains) + 1)
        self.ends = np.cumsum(counts)
        """End of each domain in `ordered`, by domain index; domain 0 has no item."""
        taken = prepared.interactions().select(USER_INDEX, ITEM_INDEX).collect()
        users = taken[USER_INDEX].to_numpy().astype(np.int64)
        self.taken = np.sort(users * self.size + taken[ITEM_INDEX].to_numpy())

    def draw(self, choices: Examples, count: int, generator: np.random.Generator) -> Ints:
        """Return ``count`` distinct untaken items a choice, shape ``(C, count)``.

        A row of 0 where the user took too many of those that are near in popularity. The draws for
        some choices are the first of those for more.
        """
        places = self._places(choices.item_ids, choices.domain_ids)[:, None]  # (C, 1)
        firsts = self.ends[choices.domain_ids - 1][:, None]
        ends = self.ends[choices.domain_ids][:, None]
        starts = np.clip(places - self.width // 2, firsts, np.maximum(firsts, ends - self.width))
        window = starts + np.arange(self.width)  # (C, W)
        near = self.ordered[np.minimum(window, len(self.ordered) - 1)]
        draws = generator.random(near.shape)
        draws[(window >= ends) | (places < 0) | self.is_taken(choices.user_ids[:, None], near)] = 2
        columns = np.argsort(draws, axis=1)[:, :count]
        drawn = np.take_along_axis(near, columns, axis=1)
        is_complete = (np.take_along_axis(draws, columns, axis=1) < 1).all(axis=1)
        whole = np.zeros((len(drawn), count), dtype=np.int64)
        if count <= self.width:
            whole[is_complete] = drawn[is_complete]
        return whole

    def is_taken(self, user_ids: Ints, item_ids: Ints) -> NDArray[np.bool_]:
        """Return which items users have an interaction with, at any time and of any split."""
        keys = user_ids * self.size + item_ids
        places = np.searchsorted(self.taken, keys)
        return self.taken[np.minimum(places, len(self.taken) - 1)] == keys

    def _places(self, item_ids: Ints, domain_ids: Ints) -> Ints:
        """Return where items stand in `ordered`, -1 for items without text."""
        keys = domain_ids.astype(np.int64) * self.size + item_ids
        found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[found] == keys, self.order[found], -1)


def add_negatives(
    choices: Examples,
    negatives: MatchedNegatives,
    seed: int,
    disliked: DislikedItems | None = None,
    count: int = 1,
    limit: int | None = None,
) -> Examples:
    """Return each choice followed by its negatives, less choices without text or negatives.

    Args:
        choices: What users chose.
        negatives: What they are told from.
        seed: Seed of the draws.
        disliked: What takes the place of a share of the negatives, the first of a choice.
        count: Negatives of a choice.
        limit: Choices that are kept, the first that have negatives; all by default. Fewer choices
            are the first of more, with the same negatives.
    """
    generator = np.random.default_rng(seed)
    limit = len(choices.labels) if limit is None else limit
    rows: list[Ints] = [np.zeros(0, dtype=np.int64)]
    drawn: list[Ints] = [np.zeros((0, count), dtype=np.int64)]
    kept = 0
    for start in range(0, len(choices.labels), _CHUNK):
        if kept >= limit:
            break
        chunk = np.arange(start, min(start + _CHUNK, len(choices.labels)))
        items = negatives.draw(choices.select(chunk), count, generator)
        is_kept = items[:, 0] > 0
        rows.append(chunk[is_kept])
        drawn.append(items[is_kept])
        kept += int(is_kept.sum())
    choices = choices.select(np.concatenate(rows)[:limit])
    item_ids = np.concatenate(drawn)[:limit]
    if disliked is not None:
        first = disliked.mix_into(item_ids[:, 0], choices.user_ids, choices.domain_ids, seed)
        item_ids = np.concatenate([first[:, None], item_ids[:, 1:]], axis=1)
    item_ids = np.concatenate([choices.item_ids[:, None], item_ids], axis=1)  # (C, 1 + count)
    repeated = choices.select(np.repeat(np.arange(len(item_ids)), 1 + count))
    labels = np.tile(np.array([1] + [0] * count, dtype=np.float32), len(item_ids))
    return repeated._replace(item_ids=item_ids.reshape(-1), labels=labels)
