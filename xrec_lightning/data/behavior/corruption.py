"""Tests on damaged input: events and texts that are replaced by those of other items.

What is replaced depends on the seed, on the user or item and on the position alone, so that every
model is tested on the same damage, and a larger share damages what a smaller one does and more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrec_lightning.batches import Catalog
from xrec_lightning.data.behavior.augment import Ints
from xrec_lightning.data.behavior.sequences import Histories
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.stable_hash import Stream, stable_hash
from xrec_lightning.schema import TEST


@dataclass(frozen=True)
class Corruption:
    """What a test replaces."""

    events: float = 0.0
    """Share of the events of histories; neither targets nor what was seen change."""
    text: float = 0.0
    """Share of the items with text that get the knowledge vector of another item."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("events", "text"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(
                    f"data.init_args.corrupt_{name} is {value}: it is a share, set it from 0 to 1"
                )

    @property
    def label(self) -> str:
        """What keys of test figures say of it: `events=0.1,text=0.3`; empty when nothing is.

        Example:
            >>> Corruption(events=0.1, seed=3).label
            'events=0.1,corruption_seed=3'
        """
        settings = {"events": self.events, "text": self.text, "corruption_seed": self.seed}
        if not (self.events or self.text):
            return ""
        return ",".join(f"{name}={value:g}" for name, value in settings.items() if value)

    def refuse_unless_test(self, stage: str) -> None:
        """Refuse to train, validate or predict on damaged input.

        Raises:
            InputError: If something is replaced and the stage is no test.
        """
        if self.label and stage != TEST:
            raise InputError(
                f"data.init_args: {self.label} damages what is read; only `xrec test` does that, "
                "so leave corrupt_events and corrupt_text out of other commands"
            )

    def corrupt_catalog(self, catalog: Catalog) -> Catalog:
        """Return what models are told; its fingerprint stays, so that they can be tested on it.

        Raises:
            InputError: If texts are to be replaced and there are none.
        """
        if self.text and catalog.vectors is None:
            raise InputError(
                f"data.init_args.corrupt_text is {self.text:g}, but there is no knowledge: set "
                "data.init_args.knowledge, or corrupt_text to 0"
            )
        if self.text and catalog.vectors is not None:
            vectors = exchange_vectors(
                catalog.vectors, catalog.train_counts > 0, self.text, self.seed
            )
            catalog = catalog._replace(vectors=vectors)
        return catalog._replace(corruption=self.label)

    def corrupt_histories(self, histories: Histories, catalog: Catalog) -> Histories:
        """Return what targets see, in which trained items of a domain replace others of it."""
        if not self.events:
            return histories
        trained = [pool[catalog.train_counts[pool] > 0].numpy() for pool in catalog.candidates]
        return replace(
            histories, item_ids=replace_events(histories, trained, self.events, self.seed)
        )


def replace_events(histories: Histories, pools: Sequence[Ints], share: float, seed: int) -> Ints:
    """Return the items of all interactions, a share of which became another one of their domain.

    Args:
        histories: The interactions.
        pools: Sorted items of each domain that may take the place of others, equally likely.
        share: Probability that an interaction is replaced.
        seed: Seeds both choices.
    """
    lengths = np.diff(histories.offsets)
    users = np.repeat(np.arange(1, len(lengths) + 1), lengths)
    positions = np.arange(len(users)) - np.repeat(histories.offsets[:-1], lengths)
    item_ids = np.array(histories.item_ids)
    is_chosen = _draws(seed, Stream.DAMAGED_EVENTS, users, positions) < share
    for domain, pool in enumerate(pools, start=1):
        rows = np.flatnonzero(is_chosen & (histories.domain_ids == domain))
        if len(pool) < 2 or len(rows) == 0:
            continue
        places = np.searchsorted(pool, item_ids[rows])
        draws = _draws(seed, Stream.REPLACEMENTS, users[rows], positions[rows])
        steps = 1 + np.floor(draws * (len(pool) - 1)).astype(np.int64)
        item_ids[rows] = pool[(places + steps) % len(pool)]
    return item_ids


def exchange_vectors(vectors: Tensor, is_trained: Tensor, share: float, seed: int) -> Tensor:
    """Return vectors of which a share changed places, none with itself.

    Trained items exchange among themselves, and so do the others: what is fitted on the vectors of
    trained items, such as a whitening, stays the same.

    Args:
        vectors: Shape ``(N + 1, D)``; zero vectors stay.
        is_trained: Shape ``(N + 1,)``.
        share: Probability that a vector is moved.
        seed: Seeds the choice.
    """
    draws = _draws(seed, Stream.DAMAGED_TEXTS, np.arange(len(vectors)))
    has_text = (vectors.abs().sum(dim=1) > 0).numpy()
    moved = vectors.clone()
    for group in (is_trained.numpy(), ~is_trained.numpy()):
        rows = np.flatnonzero(group & has_text & (draws < share))
        order = torch.from_numpy(rows[np.argsort(draws[rows], kind="stable")])
        moved[order] = vectors[order.roll(1)]
    return moved


def _draws(seed: int, stream: Stream, *keys: Ints) -> NDArray[np.float64]:
    """Return a number from 0 to below 1 for each row of ``keys``."""
    return (stable_hash(seed, stream, *keys) >> np.uint64(11)).astype(np.float64) / 2.0**53
