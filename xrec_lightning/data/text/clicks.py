"""Examples of "would this user choose this item", with matched negatives and users apart."""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.labels import (
    EVERYTHING,
    DislikedItems,
    LabelConfig,
    chosen_targets,
    is_chosen,
)
from xrec_lightning.schema import (
    DOMAIN_INDEX,
    DOMAINS,
    HISTORY_END,
    HISTORY_START,
    IS_HIDDEN,
    ITEM_INDEX,
    TEST,
    TEXT,
    TRAIN,
    TRAIN_COUNT,
    USER_INDEX,
    VAL,
)

Ints = NDArray[np.integer]


class Clicks(NamedTuple):
    """Examples, positives and negatives alternating. E examples.

    The history of an example is the flat positions ``[history_starts, history_ends)``, all strictly
    earlier than the choice.
    """

    user_ids: Ints
    """User indices, shape ``(E,)``."""
    item_ids: Ints
    """Candidates, shape ``(E,)``."""
    domain_ids: Ints
    """Domain of the candidates, shape ``(E,)``."""
    history_starts: Ints
    """Shape ``(E,)``."""
    history_ends: Ints
    """Shape ``(E,)``."""
    labels: Ints
    """1 where the user chose the candidate, shape ``(E,)``."""


class Choices(NamedTuple):
    """Items that users chose, before negatives are added. C choices, fields as in `Clicks`."""

    user_ids: Ints
    item_ids: Ints
    domain_ids: Ints
    history_starts: Ints
    history_ends: Ints

    def select(self, rows: Ints | NDArray[np.bool_]) -> "Choices":
        """Return some of the choices."""
        return Choices(*(column[rows] for column in self))


def split_users(num_users: int, held_out: float, seed: int) -> dict[str, NDArray[np.bool_]]:
    """Return which users are of ``train``, ``val`` and ``test``, masks of shape ``(U + 1,)``.

    Args:
        num_users: Users have indices 1 to ``num_users``.
        held_out: Share of the users of validation, and of test.
        seed: Seed of the split.
    """
    draws = np.random.default_rng(seed).random(num_users + 1)
    is_val, is_test = draws < held_out, (draws >= held_out) & (draws < 2 * held_out)
    return {TRAIN: ~(is_val | is_test), VAL: is_val, TEST: is_test}


def training_choices(
    prepared: Prepared, is_user: NDArray[np.bool_], labels: LabelConfig = EVERYTHING
) -> Choices:
    """Return the training events of some users that are choices and have a strictly earlier one.

    Args:
        prepared: A prepared data set.
        is_user: Which users count, shape ``(U + 1,)``.
        labels: What is a choice; histories hold all events.
    """
    offsets, times = np.asarray(prepared.offsets), np.asarray(prepared.times)
    users = np.repeat(np.arange(1, len(offsets)), np.diff(offsets))
    positions = np.arange(len(times))
    starts = offsets[users - 1]
    is_new_time = (positions == starts) | (np.diff(times, prepend=times[:1]) != 0)
    ends = np.maximum.accumulate(np.where(is_new_time, positions, 0))
    is_training = positions < np.asarray(prepared.train_ends)[users - 1]
    is_training &= is_chosen(prepared, labels)
    rows = np.flatnonzero(is_training & (ends > starts) & is_user[users])
    items, domains = np.asarray(prepared.item_ids), np.asarray(prepared.domain_ids)
    return Choices(users[rows], items[rows], domains[rows], starts[rows], ends[rows])


def target_choices(
    prepared: Prepared,
    split: str,
    is_user: NDArray[np.bool_],
    labels: LabelConfig = EVERYTHING,
) -> Choices:
    """Return the targets of a split of some users that are choices and have a history."""
    targets = chosen_targets(prepared, split, labels)
    targets = targets.filter(pl.col(HISTORY_END) > pl.col(HISTORY_START))
    names = (USER_INDEX, ITEM_INDEX, DOMAIN_INDEX, HISTORY_START, HISTORY_END)
    choices = Choices(*(targets[name].to_numpy().astype(np.int64) for name in names))
    return choices.select(is_user[choices.user_ids])


class MatchedNegatives:
    """Draw items of the same domain and like popularity that the user never took.

    Args:
        prepared: A prepared data set.
        width: Candidates are the nearest ``width`` items of the domain in popularity, with text.
    """

    def __init__(self, prepared: Prepared, width: int = 64) -> None:
        self.width = width
        items = prepared.items().filter(pl.col(TEXT).is_not_null() & ~pl.col(IS_HIDDEN))
        listed = items.select(ITEM_INDEX, DOMAINS, TRAIN_COUNT).explode(DOMAINS)
        ordered = listed.sort(TRAIN_COUNT, ITEM_INDEX)
        self.ordered = [
            ordered.filter(pl.col(DOMAINS) == name)[ITEM_INDEX].to_numpy().astype(np.int64)
            for name in prepared.domains
        ]
        self.places = [{int(item): at for at, item in enumerate(rows)} for rows in self.ordered]
        taken = prepared.interactions().select(USER_INDEX, ITEM_INDEX).collect()
        self.size = prepared.items().height + 1
        keys = taken[USER_INDEX].to_numpy().astype(np.int64) * self.size
        self.taken = np.unique(keys + taken[ITEM_INDEX].to_numpy())

    def draw(self, user: int, item: int, domain: int, generator: np.random.Generator) -> int:
        """Return an untaken item, 0 where the user took all that are near in popularity."""
        rows, place = self.ordered[domain - 1], self.places[domain - 1].get(item)
        if place is None:
            return 0
        start = max(0, min(place - self.width // 2, len(rows) - self.width))
        near = generator.permutation(rows[start : start + self.width])
        untaken = near[~self.is_taken(user, near)]
        return int(untaken[0]) if len(untaken) else 0

    def is_taken(self, user: int, items: Ints) -> NDArray[np.bool_]:
        """Return which items the user has an interaction with, at any time and of any split."""
        keys = user * self.size + items
        places = np.searchsorted(self.taken, keys)
        return self.taken[np.minimum(places, len(self.taken) - 1)] == keys


def add_negatives(
    choices: Choices,
    negatives: MatchedNegatives,
    seed: int,
    disliked: DislikedItems | None = None,
) -> Clicks:
    """Return each choice followed by one negative, less those without text or negative.

    Args:
        choices: What users chose.
        negatives: What they are told from.
        seed: Seed of the draws.
        disliked: What takes the place of a share of the negatives.
    """
    generator = np.random.default_rng(seed)
    rows = zip(choices.user_ids, choices.item_ids, choices.domain_ids, strict=True)
    drawn: Ints = np.array([negatives.draw(*row, generator) for row in rows], dtype=np.int64)
    choices, drawn = choices.select(drawn > 0), drawn[drawn > 0]
    if disliked is not None:
        drawn = disliked.mix_into(drawn, choices.user_ids, choices.domain_ids, seed)
    doubled = Choices(*(np.repeat(column, 2) for column in choices))
    item_ids = np.stack([choices.item_ids, drawn], axis=1).reshape(-1)
    labels = np.tile([1, 0], len(drawn))
    return Clicks(*doubled._replace(item_ids=item_ids), labels)
