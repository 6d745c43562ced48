from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.data.behavior.samplers import BUCKET_BATCHES, WindowSampler, balance
from xrec_lightning.data.behavior.sequences import Histories, TrainingWindows, Windows

Window = tuple[int, int, int]
COUNTS = st.lists(st.integers(0, 30), min_size=1, max_size=12)


def histories_of(baskets: list[list[int]], domain_ids: list[int] | None = None) -> Histories:
    """One user per list of basket sizes; every event is another item."""
    times = [[t for t, size in enumerate(sizes) for _ in range(size)] for sizes in baskets]
    lengths = [len(user) for user in times]
    total = sum(lengths)
    return Histories(
        offsets=np.cumsum([0, *lengths]),
        item_ids=np.arange(1, total + 1, dtype=np.int32),
        domain_ids=np.array(domain_ids or [1] * total, dtype=np.int32),
        times=np.array([t for user in times for t in user], dtype=np.int64),
        train_ends=np.cumsum(lengths),
    )


def listed(sampler: WindowSampler) -> list[Window]:
    """Return (user, start, stop) of all windows of an epoch, in order."""
    return [
        (int(user), int(start), int(stop))
        for batch in sampler
        for user, start, stop in zip(batch.users, batch.starts, batch.stops, strict=True)
    ]


def one_window_at_a_time(
    histories: Histories, length: int, batch_size: int, key: tuple[int, int], world: int, rank: int
) -> Iterator[Window]:
    """Yield the windows of one process, made by loops over users, numbers and batches."""
    generator = np.random.default_rng(key)
    drafts = []
    for user, (start, end) in enumerate(
        zip(histories.offsets[:-1], histories.train_ends, strict=True)
    ):
        number = 0
        while end - start > 1 and number * length < end - start - 1:
            drafts.append((user, int(start), int(end), number))
            number += 1
    shifts = generator.integers(0, length, len(drafts))
    windows = []
    for (user, start, end, number), shift in zip(drafts, shifts, strict=True):
        stop = end - number * length + (int(shift) if number else 0)
        stop = min(max(stop, start + 2), end)
        windows.append((user + 1, max(start, stop - length - 1), stop))
    order = generator.permutation(len(windows)).tolist()
    batch, order_by_length = batch_size * world, []
    for first in range(0, len(order), batch * BUCKET_BATCHES):
        bucket = order[first : first + batch * BUCKET_BATCHES]
        order_by_length += sorted(bucket, key=lambda i: windows[i][2] - windows[i][1])
    full = len(windows) // batch
    dealt = [
        each
        for number in generator.permutation(full)
        for each in order_by_length[number * batch : (number + 1) * batch]
    ]
    dealt += order_by_length[full * batch :]
    while len(dealt) % world:
        dealt.append(dealt[len(dealt) - len(windows)])
    for index in dealt[rank::world]:
        yield windows[index]


@settings(max_examples=60, deadline=None)
@given(
    counts=COUNTS,
    length=st.integers(2, 8),
    batch_size=st.integers(1, 4),
    epoch=st.integers(0, 2),
    world=st.integers(1, 3),
)
def test_windows_are_those_of_the_loops(
    counts: list[int], length: int, batch_size: int, epoch: int, world: int
) -> None:
    histories = histories_of([[1] * count for count in counts])
    for rank in range(world):
        sampler = WindowSampler(histories, length, batch_size, 5, world, rank)
        sampler.set_epoch(epoch)
        expected = one_window_at_a_time(histories, length, batch_size, (5, epoch), world, rank)
        assert listed(sampler) == list(expected)


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
    batches = list(sampler)
    assert len(batches) == len(sampler)
    for windows in batches:
        assert (histories.offsets[windows.users - 1] <= windows.starts).all()
        assert (windows.starts < windows.stops).all()
        assert (windows.stops <= histories.offsets[windows.users]).all()
        assert (windows.stops - windows.starts <= length + 1).all()
        batch = TrainingWindows(histories)[windows]
        for row, position in (batch.target_ids > 0).nonzero().tolist():
            state = int(batch.state_positions[row, position])
            assert batch.times[row, state] < batch.times[row, position]
            assert batch.times[row, state + 1] == batch.times[row, position]


def test_windows_cover_every_target_of_short_histories_once() -> None:
    histories = histories_of([[1, 1, 1], [1], [1, 2, 1]])
    (windows,) = WindowSampler(histories, 10, batch_size=4)
    batch = TrainingWindows(histories)[windows]
    assert sorted(batch.target_ids[batch.target_ids > 0].tolist()) == [2, 3, 6, 7, 8]


def test_windows_of_long_histories_move_between_epochs() -> None:
    sampler = WindowSampler(histories_of([[1] * 100]), 10, batch_size=4)
    first = sorted(listed(sampler))
    sampler.set_epoch(1)
    assert first != sorted(listed(sampler))
    sampler.set_epoch(0)
    assert first == sorted(listed(sampler))


def test_batches_hold_windows_of_like_length() -> None:
    generator = np.random.default_rng(0)
    histories = histories_of([[1] * int(n) for n in generator.integers(2, 50, 512)])
    spreads = [np.ptp(b.stops - b.starts) for b in WindowSampler(histories, 60, batch_size=16)]
    assert np.mean(spreads) < 5


def test_no_two_batches_share_their_key() -> None:
    histories = histories_of([[1] * 9] * 6)
    keys = []
    for rank in range(2):
        sampler = WindowSampler(histories, 3, 2, num_replicas=2, rank=rank)
        for epoch in range(2):
            sampler.set_epoch(epoch)
            keys += [batch.key for batch in sampler]
    assert len(keys) == len(set(keys)) == 2 * 2 * 5  # 18 windows of 3 shared by 2 are 5 batches


@settings(max_examples=80, deadline=None)
@given(counts=COUNTS, world=st.integers(1, 3), locality=st.sampled_from(["shuffle", "shard"]))
def test_processes_together_see_every_window_and_equally_many(
    counts: list[int], world: int, locality: str
) -> None:
    histories = histories_of([[1] * count for count in counts])
    samplers = [
        WindowSampler(histories, 40, 2, 0, world, rank, locality=locality)  # type: ignore[arg-type]
        for rank in range(world)
    ]
    parts = [listed(sampler) for sampler in samplers]
    # Windows are longer than histories, so each user is one window.
    whole = {
        (user, int(histories.offsets[user - 1]), int(histories.offsets[user]))
        for user, count in enumerate(counts, start=1)
        if count > 1
    }
    assert {window for part in parts for window in part} == whole
    assert len({len(part) for part in parts}) == 1
    assert len({len(sampler) for sampler in samplers}) == 1
    if locality == "shuffle":
        assert len(parts[0]) == -(-len(whole) // world)


@settings(max_examples=80, deadline=None)
@given(counts=st.lists(st.integers(2, 30), min_size=3, max_size=12), world=st.integers(1, 3))
def test_a_shard_is_a_range_of_users_of_its_own(counts: list[int], world: int) -> None:
    histories = histories_of([[1] * count for count in counts])
    parts = [
        listed(WindowSampler(histories, 40, 2, 0, world, rank, locality="shard"))
        for rank in range(world)
    ]
    users = [sorted({user for user, _, _ in part}) for part in parts]
    assert [user for part in users for user in part] == list(range(1, len(counts) + 1))
    # Without repeats within a shard unless another one is larger.
    for part in parts:
        repeats = Counter(part).values()
        assert max(repeats) - min(repeats) <= 1
    assert min(Counter(max(parts, key=lambda part: len(set(part)))).values()) == 1


def test_shards_hold_like_numbers_of_windows() -> None:
    generator = np.random.default_rng(1)
    histories = histories_of([[1] * int(n) for n in generator.integers(2, 60, 300)])
    samplers = [WindowSampler(histories, 5, 4, 0, 3, rank, locality="shard") for rank in range(3)]
    borders = [(sampler.first_user, sampler.last_user) for sampler in samplers]
    assert borders[0][0] == 0
    assert borders[2][1] == 300
    assert [last for _, last in borders[:2]] == [first for first, _ in borders[1:]]
    total = int(samplers[0].windows_per_user.sum())
    assert samplers[0].size <= total / 3 + samplers[0].windows_per_user.max()


def test_a_process_without_users_of_its_own_draws_from_all() -> None:
    histories = histories_of([[1] * 5])
    parts = [
        listed(WindowSampler(histories, 2, 1, 0, 3, rank, locality="shard")) for rank in range(3)
    ]
    assert [len(part) for part in parts] == [2, 2, 2]
    assert {window for part in parts for window in part} >= set(parts[0])


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    temperature=st.sampled_from([0.5, 1.0, 2.0, 5.0, 1e9]),
)
def test_domains_are_balanced_by_temperature(sizes: list[int], temperature: float) -> None:
    generator = np.random.default_rng(0)
    domain_ids = generator.permutation(np.repeat(np.arange(1, len(sizes) + 1), sizes))
    drawn = balance(domain_ids, temperature, generator)
    assert len(drawn) == sum(sizes)
    shares = np.array(sizes) ** (1 / temperature)
    wanted = shares / shares.sum() * sum(sizes)
    for domain, expected in enumerate(wanted, start=1):
        repeats = Counter(drawn[domain_ids[drawn] == domain].tolist())
        assert abs(repeats.total() - expected) <= 1
        if repeats.total() >= sizes[domain - 1]:
            assert len(repeats) == sizes[domain - 1]
        assert not repeats or max(repeats.values()) <= -(-repeats.total() // sizes[domain - 1])


def test_nothing_is_balanced_to_nothing() -> None:
    none = balance(np.zeros(0, dtype=np.int64), 2.0, np.random.default_rng(0))
    assert none.tolist() == []


@pytest.mark.parametrize("locality", ["shuffle", "shard"])
def test_small_domains_come_up_more_often_when_it_is_warm(locality: str) -> None:
    # Eighteen users of domain 1 and two of domain 2, two interactions each.
    domain_ids = [1] * 36 + [2] * 4
    histories = histories_of([[1, 1]] * 20, domain_ids)
    counts = {}
    for temperature in (1.0, 2.0, 1e9):
        sampler = WindowSampler(
            histories,
            5,
            4,
            locality=locality,
            domain_temperature=temperature,  # type: ignore[arg-type]
        )
        windows = listed(sampler)
        assert len(windows) == 20
        counts[temperature] = sum(user > 18 for user, _, _ in windows)
    assert counts == {1.0: 2, 2.0: 5, 1e9: 10}  # 18 ** .5 is 3 times 2 ** .5


def test_a_log_without_targets_has_no_batches() -> None:
    sampler = WindowSampler(histories_of([[1], []]), 5, 4)
    assert list(sampler) == []
    assert len(sampler) == 0
    assert Windows._fields[:3] == ("users", "starts", "stops")
