"""Cold protocols: items, users and a domain of some users, hidden from training, then tested."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.steps import SplitConfig
from xrec_lightning.data.errors import InputError, suggest
from xrec_lightning.data.stable_hash import Stream, stable_hash
from xrec_lightning.data.steps.order import ORDER
from xrec_lightning.data.steps.runs import Bools, Ints, begins_run


class Cold(NamedTuple):
    """What is hidden or cold. U users, I items, by the index that the events have."""

    items: Bools
    """Items whose events are all hidden, shape ``(I,)``."""
    users: Bools
    """Users of whom nothing trains, shape ``(U,)``."""
    domain_users: Bools
    """Users whose events of ``domain`` are hidden, shape ``(U,)``."""
    domain: int | None
    """Index of that domain, None where there is none."""

    def hides(self, events: pl.DataFrame) -> Bools:
        """Return which events are hidden, shape ``(N,)``."""
        is_hidden = self.items[events[schema.ITEM_INDEX].to_numpy()]
        if self.domain is None:
            return is_hidden
        return is_hidden | self.hides_domain(events)

    def hides_domain(self, events: pl.DataFrame) -> Bools:
        """Return which events are of the hidden domain of one of its users, shape ``(N,)``."""
        is_of_user = self.domain_users[events[schema.USER_INDEX].to_numpy()]
        return is_of_user & (events[schema.DOMAIN_INDEX].to_numpy() == self.domain)

    def take(self, users: Ints, items: Ints, domain: int | None) -> "Cold":
        """Return the same under other indices.

        Args:
            users: Present index of each user, in the order of the other indices.
            items: Present index of each item, in the order of the other indices.
            domain: Other index of the domain.
        """
        return Cold(self.items[items], self.users[users], self.domain_users[users], domain)


class Candidates(NamedTuple):
    """What may be hidden. U users, I items."""

    items: Bools
    """Items with events, shape ``(I,)``."""
    users: Bools
    """Users with events at two times or more, so that the last can be tested, shape ``(U,)``."""
    domain_users: Bools
    """Users with events in the cold domain and in another one, shape ``(U,)``."""


def find_candidates(
    events: pl.DataFrame, num_users: int, num_items: int, domain: int | None
) -> Candidates:
    """Return what one shard has that may be hidden.

    Args:
        events: Interactions after the cleaning, in flat order.
        num_users: Users of the whole log: more than the largest index.
        num_items: Items of the whole log.
        domain: Index of the cold domain, None where there is none.
    """
    users = events[schema.USER_INDEX].to_numpy()
    # A run by user and time that starts where no user does is a second time.
    is_later = begins_run(users, events[ORDER].to_numpy()) & ~begins_run(users)
    is_inside = events[schema.DOMAIN_INDEX].to_numpy() == domain
    both = _mask(users[is_inside], num_users) & _mask(users[~is_inside], num_users)
    return Candidates(
        items=_mask(events[schema.ITEM_INDEX].to_numpy(), num_items),
        users=_mask(users[is_later], num_users),
        domain_users=both,
    )


def merge_candidates(parts: Iterable[Candidates]) -> Candidates:
    """Return what the whole log has that may be hidden, from what each shard has."""
    return Candidates(*(np.logical_or.reduce(masks) for masks in zip(*parts, strict=True)))


def choose_cold(
    candidates: Candidates, has_text: Bools, domain: int | None, config: SplitConfig, seed: int
) -> Cold:
    """Return what is hidden: of the candidates a share each, those with the smallest hashes.

    Args:
        candidates: What the whole log has.
        has_text: Items with text, shape ``(I,)``; no others are hidden.
        domain: Index of the cold domain, None where there is none.
        config: The shares.
        seed: Decides which.

    Raises:
        InputError: If a share that is asked for holds nothing.
    """
    domain_share = 0.0 if domain is None else config.cold_domain_users
    chosen = {
        Stream.COLD_ITEMS: ("cold_items", candidates.items & has_text, config.cold_items),
        Stream.COLD_USERS: ("cold_users", candidates.users, config.cold_users),
        Stream.COLD_DOMAIN: ("cold_domain_users", candidates.domain_users, domain_share),
    }
    masks = []
    for stream, (key, is_candidate, share) in chosen.items():
        mask = choose_smallest(is_candidate, share, seed, stream)
        if share > 0 and not mask.any():
            raise InputError(
                f"split.{key}: {share} of {is_candidate.sum()} {_CANDIDATES[stream]} is none; "
                "raise the share, give more data, or leave the protocol out"
            )
        masks.append(mask)
    items, users, domain_users = masks
    return Cold(items, users, domain_users, domain)


def choose_smallest(is_candidate: Bools, share: float, seed: int, stream: Stream) -> Bools:
    """Return the mask of a share of the candidates, rounded to whole ones, by smallest hash."""
    candidates = np.flatnonzero(is_candidate)
    count = round(share * len(candidates))
    by_hash = np.argsort(stable_hash(seed, stream, candidates))
    return _mask(candidates[by_hash[:count]], len(is_candidate))


def find_domain(config: SplitConfig, domains: Sequence[str]) -> int | None:
    """Return the position of the cold domain among ``domains``, None where there is none.

    Raises:
        InputError: If no domain has that name.
    """
    if config.cold_domain is None:
        return None
    if config.cold_domain not in domains:
        raise InputError(
            f"split.cold_domain: {config.cold_domain}: no such domain; "
            f"{suggest(config.cold_domain, domains)}"
        )
    return list(domains).index(config.cold_domain)


_CANDIDATES = {
    Stream.COLD_ITEMS: "items with text and events",
    Stream.COLD_USERS: "users with events at two times",
    Stream.COLD_DOMAIN: "users with events in the domain and in another one",
}


def _mask(indices: Ints, length: int) -> Bools:
    mask = np.zeros(length, dtype=bool)
    mask[indices] = True
    return mask
