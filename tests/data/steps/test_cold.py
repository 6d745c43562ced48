from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.data.config.steps import SplitConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.stable_hash import Stream, stable_hash
from xrec_lightning.data.steps.cold import (
    Cold,
    choose_cold,
    choose_smallest,
    find_candidates,
    find_domain,
    merge_candidates,
)
from xrec_lightning.data.steps.order import add_order, sort_flat

MakeEvents = Callable[..., pl.DataFrame]


def flat(log: pl.DataFrame) -> pl.DataFrame:
    return sort_flat(add_order(log, "shuffle"), 0)


@settings(deadline=None)
@given(
    is_candidate=st.lists(st.booleans()),
    share=st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]),
    seed=st.integers(0, 9),
)
def test_the_smallest_hashes_are_chosen(is_candidate: list[bool], share: float, seed: int) -> None:
    chosen = choose_smallest(np.array(is_candidate, bool), share, seed, Stream.COLD_ITEMS)
    candidates = [index for index, each in enumerate(is_candidate) if each]
    hashes = stable_hash(seed, Stream.COLD_ITEMS, np.arange(len(is_candidate)))
    expected = sorted(candidates, key=lambda index: hashes[index])
    assert set(np.flatnonzero(chosen)) == set(expected[: round(share * len(candidates))])
    assert len(chosen) == len(is_candidate)


def test_seeds_and_streams_choose_differently() -> None:
    everything = np.ones(20, bool)
    chosen = {
        tuple(choose_smallest(everything, 0.5, seed, stream))
        for seed in range(5)
        for stream in Stream
    }
    assert len(chosen) == 5 * len(Stream)


def test_candidates_are_what_can_be_tested(make_events: MakeEvents) -> None:
    # User 0: one time; 1: two times, one domain; 2: two domains, one time; 3: both; 4: no events.
    log = flat(
        make_events(
            [(0, 0, 5), (0, 2, 5), (1, 0, 5), (1, 2, 6), (2, 0, 5), (2, 1, 5), (3, 1, 5), (3, 6, 6)]
        )
    )
    found = find_candidates(log, 5, 7, domain=1)
    assert np.flatnonzero(found.items).tolist() == [0, 1, 2, 6]
    assert np.flatnonzero(found.users).tolist() == [1, 3]
    assert np.flatnonzero(found.domain_users).tolist() == [2, 3]
    assert not find_candidates(log, 5, 7, domain=None).domain_users.any()
    shards = [log.filter(pl.col("user_index") < 2), log.filter(pl.col("user_index") >= 2)]
    merged = merge_candidates(find_candidates(each, 5, 7, 1) for each in shards)
    for left, right in zip(merged, found, strict=True):
        assert left.tolist() == right.tolist()


def test_each_protocol_takes_its_share(make_events: MakeEvents) -> None:
    rows = [(user, item, item) for user in range(10) for item in range(10)]
    found = find_candidates(flat(make_events(rows)), 10, 10, domain=0)
    has_text = np.arange(10) % 2 == 0
    config = SplitConfig(cold_items=0.4, cold_users=0.3, cold_domain="x", cold_domain_users=0.6)
    cold = choose_cold(found, has_text, 0, config, seed=3)
    assert (cold.items.sum(), cold.users.sum(), cold.domain_users.sum()) == (2, 3, 6)
    assert not (cold.items & ~has_text).any()
    nothing = choose_cold(found, has_text, None, SplitConfig(), seed=3)
    assert not nothing.items.any()
    assert not nothing.users.any()
    assert not nothing.domain_users.any()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (SplitConfig(cold_items=0.1), "cold_items: 0.1 of 2 items with text and events is none"),
        (SplitConfig(cold_users=0.1), "cold_users: 0.1 of 1 users with events at two times is"),
        (SplitConfig(cold_domain="x"), "cold_domain_users: 0.2 of 1 users with events in the"),
    ],
)
def test_a_share_of_nothing_is_refused(
    make_events: MakeEvents, config: SplitConfig, message: str
) -> None:
    found = find_candidates(flat(make_events([(0, 0, 5), (0, 1, 6)])), 1, 2, domain=1)
    domain = find_domain(config, ["y", "x"])
    with pytest.raises(InputError, match=message):
        choose_cold(found, np.array([True, True]), domain, config, seed=0)


def test_the_cold_domain_must_exist() -> None:
    assert find_domain(SplitConfig(), ["books"]) is None
    assert find_domain(SplitConfig(cold_domain="films"), ["books", "films"]) == 1
    with pytest.raises(InputError, match=r"cold_domain: book: .*did you mean `books`"):
        find_domain(SplitConfig(cold_domain="book"), ["books", "films"])


def test_hidden_are_items_and_the_domain_of_some_users(make_events: MakeEvents) -> None:
    log = make_events([(0, 1, 5), (0, 2, 5), (1, 1, 5), (1, 2, 5), (1, 3, 5)])
    items, nobody = np.array([False, False, False, True]), np.array([False, False])
    cold = Cold(items, nobody, np.array([True, False]), 1)
    assert cold.hides(log).tolist() == [True, False, False, False, True]
    assert cold._replace(domain=None).hides(log).tolist() == [False] * 4 + [True]
    other = cold.take(np.array([1, 0]), np.array([3, 1]), 2)
    assert (other.items.tolist(), other.domain_users.tolist()) == ([True, False], [False, True])
    assert other.domain == 2
