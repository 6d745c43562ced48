import numpy as np
import polars as pl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.data.behavior.sequences import (
    Histories,
    Targets,
    TrainingWindows,
    Window,
    WindowSampler,
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


def histories_of(baskets: list[list[int]]) -> Histories:
    """One user per list of basket sizes; every event is another item."""
    times = [[t for t, size in enumerate(sizes) for _ in range(size)] for sizes in baskets]
    lengths = [len(user) for user in times]
    total = sum(lengths)
    return Histories(
        offsets=np.cumsum([0, *lengths]),
        item_ids=np.arange(1, total + 1, dtype=np.int32),
        domain_ids=np.ones(total, dtype=np.int32),
        times=np.array([t for user in times for t in user], dtype=np.int64),
        train_ends=np.cumsum(lengths),
    )


def test_basket_starts_do_not_cross_users() -> None:
    assert HISTORIES.basket_starts().tolist() == [0, 1, 1, 3, 4, 4]


def test_training_targets_see_strictly_earlier_interactions_only() -> None:
    batch = TrainingWindows(HISTORIES).__getitems__([Window(1, 0, 4), Window(2, 4, 6)])
    assert batch.item_ids.tolist() == [[11, 12, 13, 14], [21, 22, 0, 0]]
    assert batch.target_ids.tolist() == [[0, 12, 13, 14], [0, 0, 0, 0]]
    assert batch.target_domain_ids.tolist() == [[0, 1, 2, 1], [0, 0, 0, 0]]
    assert batch.state_positions.tolist() == [[-1, 0, 0, 2], [-1, -1, -1, -1]]
    assert batch.user_ids.tolist() == [1, 2]


def test_a_window_that_starts_inside_a_basket_has_no_target_in_it() -> None:
    batch = TrainingWindows(HISTORIES).__getitems__([Window(1, 2, 4)])
    assert batch.target_ids.tolist() == [[0, 14]]
    assert batch.state_positions.tolist() == [[-1, 0]]


@settings(max_examples=50, deadline=None)
@given(
    baskets=st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=12), min_size=1, max_size=5),
    length=st.integers(2, 8),
    epoch=st.integers(0, 3),
)
def test_windows_stay_inside_users_and_targets_see_the_strict_past(
    baskets: list[list[int]], length: int, epoch: int
) -> None:
    histories = histories_of(baskets)
    sampler = WindowSampler(histories, length, batch_size=2)
    sampler.set_epoch(epoch)
    windows = list(sampler)
    assert len(windows) == len(sampler)
    for window in windows:
        offset, end = histories.offsets[window.user - 1 : window.user + 1]
        assert offset <= window.start < window.stop <= end
        assert window.stop - window.start <= length + 1
        batch = TrainingWindows(histories).__getitems__([window])
        for position, target in enumerate(batch.target_ids[0].tolist()):
            state = int(batch.state_positions[0, position])
            if target:
                assert batch.times[0, state] < batch.times[0, position]
                assert batch.times[0, state + 1] == batch.times[0, position]


def test_windows_cover_every_target_of_short_histories_once() -> None:
    histories = histories_of([[1, 1, 1], [1], [1, 2, 1]])
    windows = list(WindowSampler(histories, 10, batch_size=4))
    batch = TrainingWindows(histories).__getitems__(windows)
    assert sorted(batch.target_ids[batch.target_ids > 0].tolist()) == [2, 3, 6, 7, 8]


def test_windows_of_long_histories_move_between_epochs() -> None:
    histories = histories_of([[1] * 100])
    sampler = WindowSampler(histories, 10, batch_size=4)
    first = sorted(sampler)
    sampler.set_epoch(1)
    assert first != sorted(sampler)
    sampler.set_epoch(0)
    assert first == sorted(sampler)


def test_ranks_share_the_windows_of_one_process() -> None:
    histories = histories_of([[1] * n for n in range(2, 15)])
    alone = list(WindowSampler(histories, 20, batch_size=2))
    shared = [list(WindowSampler(histories, 20, 1, num_replicas=2, rank=rank)) for rank in (0, 1)]
    assert len(shared[0]) == len(shared[1]) == 7
    assert {*shared[0], *shared[1]} == set(alone)


def test_batches_hold_windows_of_like_length() -> None:
    generator = np.random.default_rng(0)
    histories = histories_of([[1] * int(n) for n in generator.integers(2, 50, 512)])
    windows = list(WindowSampler(histories, 60, batch_size=16))
    lengths = np.array([w.stop - w.start for w in windows]).reshape(-1, 16)
    assert np.ptp(lengths, axis=1).mean() < 5


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
