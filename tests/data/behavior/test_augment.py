from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.batches import Catalog
from xrec_lightning.data.behavior.augment import (
    NEVER,
    AugmentationConfig,
    CropConfig,
    Events,
    InterleaveConfig,
    MaskItemsConfig,
    ReorderConfig,
    newest,
    select,
    visible_states,
)
from xrec_lightning.data.behavior.sequences import Histories, TrainingWindows, Windows
from xrec_lightning.data.behavior.similar import InsertConfig, SubstituteConfig
from xrec_lightning.data.errors import InputError

NUM_EVENTS = 60
LENGTH = 12
BASKETS = st.lists(
    st.lists(st.integers(1, 3), min_size=1, max_size=LENGTH // 3), min_size=1, max_size=4
)
EVERY_KIND: list[AugmentationConfig] = [
    CropConfig(share=0.8, keep=0.1),
    MaskItemsConfig(share=0.8, rate=0.5),
    ReorderConfig(share=1.0, span=4),
    InterleaveConfig(share=1.0, span=6),
    SubstituteConfig(share=1.0, rate=0.5, nearest=1, same_domain=False),
    InsertConfig(share=1.0, rate=0.5, nearest=1, same_domain=False),
]


def paired_catalog() -> Catalog:
    """Items 1 to 60 in two domains; the one nearest to item i is item 60 + i."""
    vectors = torch.randn(NUM_EVENTS + 1, 16, generator=torch.Generator().manual_seed(0))
    vectors[0] = 0.0
    ids = torch.arange(1, 2 * NUM_EVENTS + 1)
    return Catalog(
        fingerprint="pairs",
        domains=("odd", "even"),
        slices=(),
        num_users=1,
        num_items=2 * NUM_EVENTS,
        train_counts=torch.cat([torch.zeros(1), torch.ones(2 * NUM_EVENTS)]).long(),
        candidates=(ids[ids % 2 == 1], ids[ids % 2 == 0]),
        vectors=torch.cat([vectors, vectors[1:]]),
    )


CATALOG = paired_catalog()


def histories_of(baskets: list[list[int]], seed: int) -> Histories:
    """One user per list of basket sizes; every event is another item, of a random domain."""
    times = [[9 + t for t, size in enumerate(sizes) for _ in range(size)] for sizes in baskets]
    lengths = [len(user) for user in times]
    total = sum(lengths)
    generator = np.random.default_rng(seed)
    return Histories(
        offsets=np.cumsum([0, *lengths]),
        item_ids=np.arange(1, total + 1, dtype=np.int32),
        domain_ids=generator.integers(1, 3, total).astype(np.int32),
        times=np.array([t for user in times for t in user], dtype=np.int64),
        train_ends=np.cumsum(lengths),
    )


def all_users(histories: Histories, seed: int) -> Windows:
    users = np.arange(1, len(histories.offsets))
    return Windows(users, histories.offsets[:-1], histories.offsets[1:], (seed,))


def events_of(*rows: Sequence[int], domains: Sequence[Sequence[int]] = ()) -> Events:
    """Return histories of items whose times are ten times their positions."""
    width = max(map(len, rows))
    item_ids = np.array([[*row, *[0] * (width - len(row))] for row in rows])
    domain_ids = np.array(domains) if domains else (item_ids > 0).astype(np.int64)
    columns = np.broadcast_to(np.arange(width), item_ids.shape)
    times = np.where(item_ids > 0, 10 * columns, 0)
    return Events(item_ids, domain_ids, times, np.where(item_ids > 0, columns, NEVER))


def augment(config: AugmentationConfig, events: Events, seed: int = 0) -> Events:
    return config.build(CATALOG)(events, np.random.default_rng(seed))


@settings(max_examples=300, deadline=None)
@given(
    baskets=BASKETS,
    seed=st.integers(0, 10_000),
    chain=st.lists(st.sampled_from(EVERY_KIND), min_size=1, max_size=3),
    is_ordered=st.booleans(),
)
def test_targets_stay_and_see_nothing_that_is_not_strictly_earlier(
    baskets: list[list[int]], seed: int, chain: list[AugmentationConfig], is_ordered: bool
) -> None:
    histories = histories_of(baskets, seed)
    object.__setattr__(histories, "is_ordered", is_ordered)
    windows = all_users(histories, seed)
    plain = TrainingWindows(histories)[windows]
    augmentations = [config.build(CATALOG) for config in chain]
    batch = TrainingWindows(histories, augmentations, length=LENGTH + 1)[windows]

    is_target = batch.target_ids > 0
    assert torch.equal(batch.target_ids, plain.target_ids * is_target)
    assert torch.equal(batch.target_domain_ids, plain.target_domain_ids * is_target)
    assert torch.equal(batch.target_weights, plain.target_weights * is_target)
    assert ((batch.state_positions >= 0) == is_target).all()
    # An item stands for its own event, the one near it in meaning for the same event.
    rank = {item: position for position, item in enumerate(histories.item_ids.tolist())}
    rank |= {item + NUM_EVENTS: position for item, position in rank.items()}
    for row, column in is_target.nonzero().tolist():
        seen = batch.item_ids[row, : int(batch.state_positions[row, column]) + 1].tolist()
        own = rank[int(batch.target_ids[row, column])]
        for item in seen:
            if is_ordered:
                assert rank[item] < own
            assert histories.times[rank[item]] < histories.times[own] + is_ordered
            assert plain.user_ids[row] == np.searchsorted(histories.offsets, rank[item], "right")
        assert int(batch.target_ids[row, column]) not in seen


@settings(max_examples=100, deadline=None)
@given(
    baskets=BASKETS,
    seed=st.integers(0, 10_000),
    chain=st.lists(st.sampled_from(EVERY_KIND), min_size=1, max_size=3),
)
def test_augmented_histories_are_well_formed(
    baskets: list[list[int]], seed: int, chain: list[AugmentationConfig]
) -> None:
    histories = histories_of(baskets, seed)
    augmentations = [config.build(CATALOG) for config in chain]
    dataset = TrainingWindows(histories, augmentations, length=LENGTH + 1)
    batch, again = (dataset[all_users(histories, seed)] for _ in range(2))
    assert all(map(torch.equal, batch, again))
    assert batch.item_ids.size(1) <= LENGTH + 1
    lengths = (batch.item_ids > 0).sum(dim=1)
    is_real = torch.arange(batch.item_ids.size(1)) < lengths[:, None]
    for ids in (batch.item_ids, batch.domain_ids, batch.times):
        assert ids.dtype == torch.int64
        assert ((ids > 0) == is_real).all()
    for row, length in enumerate(lengths.tolist()):
        assert (batch.times[row, :length].diff() >= 0).all()


@pytest.mark.parametrize("config", EVERY_KIND, ids=lambda config: type(config).__name__)
def test_a_share_of_zero_changes_nothing(config: AugmentationConfig) -> None:
    events = events_of([1, 2, 3, 4, 5], [6, 7])
    settings = {name: getattr(config, name) for name in config.__dataclass_fields__}
    off = type(config)(**{**settings, "share": 0.0})
    for seed in range(20):
        for before, after in zip(events, augment(off, events, seed), strict=True):
            assert np.array_equal(before, after)


@pytest.mark.parametrize("config", EVERY_KIND, ids=lambda config: type(config).__name__)
def test_a_share_of_one_half_changes_about_half_of_the_windows(config: AugmentationConfig) -> None:
    events = events_of(*([1, 2, 3, 4, 5, 6, 7, 8],) * 400, domains=[[1, 2] * 4] * 400)
    settings = {name: getattr(config, name) for name in config.__dataclass_fields__}
    half, whole = (
        augment(type(config)(**{**settings, "share": share}), events) for share in (0.5, 1.0)
    )
    counts = [
        (~(each.item_ids[:, :8] == events.item_ids).all(axis=1)).sum() for each in (half, whole)
    ]
    assert 0.4 < counts[0] / counts[1] < 0.6


def test_crop_keeps_the_newest_and_at_least_its_share() -> None:
    lengths = set()
    for seed in range(100):
        cropped = augment(CropConfig(share=1.0, keep=0.5), events_of([1, 2, 3, 4, 5], [6, 7]), seed)
        kept = cropped.item_ids[0][cropped.item_ids[0] > 0].tolist()
        assert kept == [1, 2, 3, 4, 5][5 - len(kept) :]
        lengths.add((len(kept), int((cropped.item_ids[1] > 0).sum())))
    assert {first for first, _ in lengths} == {3, 4, 5}
    assert {second for _, second in lengths} == {1, 2}


def test_masked_items_are_left_out_and_the_first_stays() -> None:
    config = MaskItemsConfig(share=1.0, rate=0.25)
    kept = []
    for seed in range(400):
        masked = augment(config, events_of([1, 2, 3, 4, 5]), seed)
        row = masked.item_ids[0][masked.item_ids[0] > 0].tolist()
        assert row == sorted(set(row))
        assert row[0] == 1
        assert masked.origins[0, : len(row)].tolist() == [item - 1 for item in row]
        kept += row[1:]
    assert len(kept) / 400 / 4 == pytest.approx(0.75, abs=0.05)


def test_reorder_shuffles_one_span_and_leaves_the_times() -> None:
    orders = set()
    for seed in range(300):
        events = events_of([1, 2, 3, 4], [5])
        shuffled = augment(ReorderConfig(share=1.0, span=2), events, seed)
        assert np.array_equal(shuffled.times, events.times)
        assert shuffled.item_ids[1].tolist() == [5, 0, 0, 0]
        assert (shuffled.origins[0] + 1 == shuffled.item_ids[0]).all()
        orders.add(tuple(shuffled.item_ids[0].tolist()))
    assert orders == {(1, 2, 3, 4), (2, 1, 3, 4), (1, 3, 2, 4), (1, 2, 4, 3)}


def test_interleaving_keeps_the_order_within_each_domain() -> None:
    orders = set()
    for seed in range(300):
        events = events_of([1, 2, 3, 4], domains=[[1, 2, 1, 2]])
        mixed = augment(InterleaveConfig(share=1.0, span=4), events, seed)
        assert mixed.domain_ids[0].tolist() == [2 - item % 2 for item in mixed.item_ids[0]]
        orders.add(tuple(mixed.item_ids[0].tolist()))
    assert orders == {
        (1, 2, 3, 4), (1, 2, 4, 3), (1, 3, 2, 4), (2, 1, 3, 4), (2, 1, 4, 3), (2, 4, 1, 3),
    }  # fmt: skip


def test_selected_events_move_up() -> None:
    chosen = select(events_of([1, 2, 3], [4]), np.array([[True, False, True], [True, True, True]]))
    assert chosen.item_ids.tolist() == [[1, 3, 0], [4, 0, 0]]
    assert chosen.times.tolist() == [[0, 20, 0], [0, 0, 0]]
    assert chosen.origins.tolist() == [[0, 2, NEVER], [0, NEVER, NEVER]]


def test_the_newest_are_kept_and_columns_of_padding_dropped() -> None:
    assert newest(events_of([1, 2, 3, 4], [5]), 2).item_ids.tolist() == [[3, 4], [5, 0]]
    padded = Events(*(np.pad(each, ((0, 0), (0, 2))) for each in events_of([1, 2])))
    assert newest(padded, 5).item_ids.tolist() == [[1, 2]]


@settings(max_examples=100, deadline=None)
@given(
    origins=st.lists(st.lists(st.integers(0, 6), min_size=4, max_size=4), min_size=1, max_size=3),
    states=st.lists(st.integers(-1, 6), min_size=3, max_size=3),
)
def test_visible_states_end_the_longest_beginning_that_may_be_seen(
    origins: list[list[int]], states: list[int]
) -> None:
    found = visible_states(np.array(origins), np.array([states] * len(origins)))
    for row, made_from in enumerate(origins):
        for column, state in enumerate(states):
            length = 0
            while length < 4 and made_from[length] <= state:
                length += 1
            assert found[row, column] == length - 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CropConfig(share=1.5), r"CropConfig\.share is 1\.5: it is a share"),
        (lambda: CropConfig(keep=-0.1), r"keep is -0\.1: it is a share"),
        (lambda: MaskItemsConfig(rate=2), "rate is 2: it is a share"),
        (lambda: ReorderConfig(span=1), r"ReorderConfig\.span is 1: "),
        (lambda: InterleaveConfig(span=0), r"InterleaveConfig\.span is 0: "),
    ],
)
def test_values_that_cannot_be_are_refused(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]
