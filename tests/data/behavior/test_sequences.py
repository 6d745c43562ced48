from dataclasses import replace

import numpy as np
import polars as pl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.data.behavior.augment import Events, select
from xrec_lightning.data.behavior.sequences import (
    Dislikes,
    Histories,
    Targets,
    TrainingWindows,
    Windows,
)
from xrec_lightning.schema import (
    DOMAIN_INDEX,
    EXTRA_SEEN,
    HISTORY_END,
    HISTORY_START,
    ITEM_INDEX,
    SEEN_END,
    SLICES,
    USER_INDEX,
    slice_column,
)

# User 1 takes 11; then 12 and 13 at one time; then 14. User 2 takes 21 and 22 at one time.
HISTORIES = Histories(
    offsets=np.array([0, 4, 6]),
    item_ids=np.array([11, 12, 13, 14, 21, 22], dtype=np.int32),
    domain_ids=np.array([1, 1, 2, 1, 2, 2], dtype=np.int32),
    times=np.array([100, 200, 200, 300, 300, 300]),
    train_ends=np.array([4, 6]),
)


def windows_of(*bounds: tuple[int, int, int]) -> Windows:
    """Return windows of (user, start, stop)."""
    users, starts, stops = np.array(bounds).T
    return Windows(users, starts, stops)


def test_training_targets_see_strictly_earlier_interactions_only() -> None:
    batch = TrainingWindows(HISTORIES)[windows_of((1, 0, 4), (2, 4, 6))]
    assert batch.item_ids.tolist() == [[11, 12, 13, 14], [21, 22, 0, 0]]
    assert batch.target_ids.tolist() == [[0, 12, 13, 14], [0, 0, 0, 0]]
    assert batch.target_domain_ids.tolist() == [[0, 1, 2, 1], [0, 0, 0, 0]]
    assert batch.state_positions.tolist() == [[-1, 0, 0, 2], [-1, -1, -1, -1]]
    assert batch.user_ids.tolist() == [1, 2]


def test_a_window_that_starts_inside_a_basket_has_no_target_in_it() -> None:
    batch = TrainingWindows(HISTORIES)[windows_of((1, 2, 4))]
    assert batch.target_ids.tolist() == [[0, 14]]
    assert batch.state_positions.tolist() == [[-1, 0]]


def test_in_an_order_that_is_believed_every_interaction_sees_the_one_before() -> None:
    ordered = replace(HISTORIES, is_ordered=True)
    batch = TrainingWindows(ordered)[windows_of((1, 0, 4), (2, 4, 6))]
    assert batch.target_ids.tolist() == [[0, 12, 13, 14], [0, 22, 0, 0]]
    assert batch.state_positions.tolist() == [[-1, 0, 1, 2], [-1, 0, -1, -1]]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_states_are_those_that_a_search_from_each_target_finds(steps: list[int]) -> None:
    times = np.cumsum(steps)
    count = len(times)
    histories = Histories(
        offsets=np.array([0, count]),
        item_ids=np.arange(1, count + 1),
        domain_ids=np.ones(count, dtype=np.int64),
        times=times,
        train_ends=np.array([count]),
    )
    for start in range(count):
        batch = TrainingWindows(histories)[windows_of((1, start, count))]
        for position in range(count - start):
            earlier = [
                i for i in range(count - start) if times[start + i] < times[start + position]
            ]
            assert batch.state_positions[0, position] == max(earlier, default=-1)
            assert (batch.target_ids[0, position] > 0) == bool(earlier)


def test_targets_weigh_1_or_what_their_events_weigh() -> None:
    windows = windows_of((1, 0, 4), (2, 4, 6))
    plain = TrainingWindows(HISTORIES)[windows].target_weights
    assert plain.tolist() == [[0, 1, 1, 1], [0, 0, 0, 0]]
    weighted = replace(HISTORIES, weights=np.array([9, 0.5, 2, 3, 9, 9], dtype=np.float32))
    weights = TrainingWindows(weighted)[windows].target_weights
    assert weights.dtype == torch.float32
    assert weights.tolist() == [[0, 0.5, 2, 3], [0, 0, 0, 0]]


def test_a_batch_holds_the_last_dislikes_of_its_users() -> None:
    dislikes = Dislikes(np.array([0, 3, 3]), np.array([31, 32, 33], dtype=np.int32))
    windows = windows_of((2, 4, 6), (1, 0, 4))
    disliking = TrainingWindows(replace(HISTORIES, dislikes=dislikes), max_dislikes=2)
    assert disliking[windows].disliked_ids.tolist() == [[0, 0], [32, 33]]
    assert TrainingWindows(HISTORIES)[windows].disliked_ids.shape == (2, 0)


def test_an_augmentation_that_does_nothing_changes_nothing() -> None:
    windows = windows_of((1, 0, 4), (2, 4, 6))
    dataset = TrainingWindows(HISTORIES, [lambda events, _: events])
    for name, tensor in dataset[windows]._asdict().items():
        assert torch.equal(tensor, getattr(TrainingWindows(HISTORIES)[windows], name)), name


def drop_first(events: Events, generator: np.random.Generator) -> Events:
    """Remove the first event of each history."""
    return select(events, np.arange(events.item_ids.shape[1]) > 0)


def test_a_target_that_lost_its_history_is_none() -> None:
    batch = TrainingWindows(HISTORIES, [drop_first])[windows_of((1, 0, 4))]
    assert batch.item_ids.tolist() == [[12, 13, 14]]
    assert batch.target_ids.tolist() == [[0, 0, 0, 14]]
    assert batch.target_weights.tolist() == [[0, 0, 0, 1]]
    assert batch.state_positions.tolist() == [[-1, -1, -1, 1]]


def test_what_is_random_in_a_batch_depends_on_its_key_only() -> None:
    def draw(events: Events, generator: np.random.Generator) -> Events:
        return events._replace(item_ids=generator.integers(1, 1000, events.item_ids.shape))

    dataset = TrainingWindows(HISTORIES, [draw])
    first, again, other = (
        dataset[windows_of((1, 0, 4))._replace(key=key)].item_ids.tolist()
        for key in ((0, 1, 2), (0, 1, 2), (0, 1, 3))
    )
    assert first == again
    assert first != other


def target_frame(**changes: object) -> pl.DataFrame:
    row: dict[str, object] = {
        USER_INDEX: 1,
        ITEM_INDEX: 13,
        DOMAIN_INDEX: 2,
        HISTORY_START: 0,
        HISTORY_END: 1,
        SEEN_END: 3,
        EXTRA_SEEN: [31],
        **{slice_column(name): name == "warm" for name in SLICES},
    }
    return pl.DataFrame({key: [value] for key, value in (row | changes).items()})


def test_a_target_is_never_removed_as_seen_but_its_basket_is() -> None:
    batch = Targets(HISTORIES, target_frame(), length=5).__getitems__([0])
    assert batch.item_ids.tolist() == [[11]]
    assert batch.state_positions.tolist() == [[0]]
    assert sorted(batch.seen_ids[0].tolist()) == [0, 11, 12, 31]
    assert batch.target_ids.tolist() == [[13]]
    assert batch.slice_mask[0].tolist() == [name == "warm" for name in SLICES]


def test_long_histories_keep_the_newest_but_remember_all_as_seen() -> None:
    frame = target_frame(**{ITEM_INDEX: 40, HISTORY_END: 4, SEEN_END: 4, EXTRA_SEEN: []})
    batch = Targets(HISTORIES, frame, length=2).__getitems__([0])
    assert batch.item_ids.tolist() == [[13, 14]]
    assert set(batch.seen_ids[0].tolist()) - {0} == {11, 12, 13, 14}


def test_an_empty_history_is_one_padding() -> None:
    frame = target_frame(**{HISTORY_END: 0, SEEN_END: 0})
    batch = Targets(HISTORIES, frame, length=2).__getitems__([0])
    assert torch.equal(batch.item_ids, torch.zeros(1, 1, dtype=torch.int64))
    assert batch.state_positions.tolist() == [[-1]]
