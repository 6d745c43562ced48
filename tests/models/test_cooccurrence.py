from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.histories import TrainingHistories
from xrec_lightning.models.cooccurrence import (
    degree_normalized,
    positive_pmi,
    together_counts,
    transition_counts,
)

NUM_ITEMS = 5


class Event(NamedTuple):
    """One event of a history."""

    item: int
    time: int


EVENTS = st.builds(Event, st.integers(1, NUM_ITEMS), st.integers(0, 4))
USERS = st.lists(st.lists(EVENTS, max_size=7), min_size=1, max_size=4)


def histories_of(users: list[list[Event]]) -> TrainingHistories:
    ordered = [sorted(events, key=lambda event: event.time) for events in users]
    offsets = torch.tensor([0, *(len(events) for events in ordered)]).cumsum(0)
    flat = torch.tensor([event for events in ordered for event in events]).reshape(-1, 2).long()
    return TrainingHistories(offsets, flat[:, 0], flat[:, 1])


@settings(max_examples=60, deadline=None)
@given(USERS, st.integers(1, 4), st.sampled_from([1.0, 0.5, 0.0]), st.booleans())
def test_transitions_are_counted_as_by_loops(
    users: list[list[Event]], window: int, step_decay: float, is_ordered: bool
) -> None:
    histories = histories_of(users)
    expected = np.zeros((NUM_ITEMS + 1, NUM_ITEMS + 1))
    for start, stop in zip(histories.offsets, histories.offsets[1:], strict=False):
        items, times = (each[start:stop].tolist() for each in histories[1:])
        for later in range(len(items)):
            earlier = [place for place in range(later) if is_ordered or times[place] < times[later]]
            for step, place in enumerate(earlier[::-1][:window]):
                if items[place] != items[later]:
                    expected[items[place], items[later]] += step_decay**step
    counts = transition_counts(histories, NUM_ITEMS, window, step_decay, is_ordered=is_ordered)
    np.testing.assert_allclose(counts.toarray(), expected)


@settings(max_examples=60, deadline=None)
@given(USERS, st.integers(1, 9), st.sampled_from([1.0, 0.5]))
def test_items_together_are_counted_as_by_loops(
    users: list[list[Event]], window: int, step_decay: float
) -> None:
    histories = histories_of(users)
    expected = np.zeros((NUM_ITEMS + 1, NUM_ITEMS + 1))
    for start, stop in zip(histories.offsets, histories.offsets[1:], strict=False):
        items = histories.item_ids[start:stop].tolist()
        for one in range(len(items)):
            for other in range(len(items)):
                distance = abs(one - other)
                if items[one] != items[other] and distance <= window:
                    expected[items[one], items[other]] += step_decay ** (distance - 1)
    counts = together_counts(histories, NUM_ITEMS, window, step_decay)
    np.testing.assert_allclose(counts.toarray(), expected)


@settings(max_examples=30, deadline=None)
@given(USERS, st.sampled_from([1.0, 1.5]))
def test_normalized_counts_follow_their_formulas(users: list[list[Event]], shift: float) -> None:
    counts = transition_counts(histories_of(users), NUM_ITEMS, window=2)
    dense = counts.toarray()
    pmi, degree = np.zeros_like(dense), np.zeros_like(dense)
    for row, column in np.argwhere(dense):
        value, of_row, of_column = dense[row, column], dense[row].sum(), dense[:, column].sum()
        surprise = np.log(value * dense.sum() / (of_row * of_column)) - np.log(shift)
        pmi[row, column] = max(0.0, surprise)
        degree[row, column] = value / np.sqrt(of_row * of_column)
    np.testing.assert_allclose(positive_pmi(counts, shift).toarray(), pmi, atol=1e-12)
    np.testing.assert_allclose(degree_normalized(counts).toarray(), degree)


def test_steps_without_weight_leave_no_entries() -> None:
    histories = histories_of([[Event(1, 0), Event(2, 1), Event(3, 2)]])
    counts = transition_counts(histories, NUM_ITEMS, window=2, step_decay=0.0)
    assert counts.toarray().sum() == pytest.approx(2.0)
    assert np.isfinite(positive_pmi(counts).toarray()).all()
