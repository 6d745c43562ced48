import numpy as np
import pytest

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.text.domain_batches import DomainBatches, log_shares

GROUPS = np.array([1] * 12 + [2] * 20 + [5] * 8)


def batches(
    weights: np.ndarray | None = None, epoch: int = 0, groups: np.ndarray = GROUPS, **options: int
) -> list[list[int]]:
    weights = np.ones(len(groups)) if weights is None else weights
    settings = {"batch_size": 4, "rows_per_epoch": len(groups), **options}
    sampler = DomainBatches(groups, weights, **settings)
    sampler.set_epoch(epoch)
    found = [batch.tolist() for batch in sampler]
    assert len(found) == len(sampler)
    return found


def test_a_batch_is_of_one_group_and_each_row_serves_once() -> None:
    found = batches()
    assert all(len({GROUPS[row] for row in batch}) == 1 for batch in found)
    assert sorted(np.concatenate(found).tolist()) == list(range(40))


def test_one_group_for_all_gives_mixed_batches() -> None:
    found = batches(groups=np.zeros(40, dtype=np.int64))
    assert sorted(np.concatenate(found).tolist()) == list(range(40))
    assert any(len({GROUPS[row] for row in batch}) > 1 for batch in found)


def test_groups_are_drawn_in_proportion_to_their_weights() -> None:
    weights = np.where(GROUPS == 5, 4.0, 1.0)  # 12, 20 and 32 of 64
    counts = np.zeros(6)
    for epoch in range(200):
        for batch in batches(weights, epoch, rows_per_epoch=28):
            counts[GROUPS[batch[0]]] += 1
    np.testing.assert_allclose(counts[[1, 2, 5]] / 1400, np.array([12, 20, 32]) / 64, atol=0.01)


def test_rows_of_unequal_weight_are_drawn_in_proportion_to_it() -> None:
    weights = np.array([1.0, 1e-12, 3.0])
    rows = batches(weights, groups=np.zeros(3, dtype=np.int64), rows_per_epoch=8000)
    counts = np.bincount(np.concatenate(rows), minlength=3) / 8000
    np.testing.assert_allclose(counts, [0.25, 0.0, 0.75], atol=0.02)


def test_draws_follow_seed_and_epoch() -> None:
    assert batches() == batches()
    assert batches(epoch=1) != batches()
    assert batches(seed=1) != batches()


def test_processes_share_each_batch() -> None:
    whole = batches(epoch=3)
    parts = [batches(epoch=3, num_replicas=2, rank=rank) for rank in range(2)]
    assert all(len(batch) == 2 for part in parts for batch in part)
    joined = [sorted(left + right) for left, right in zip(*parts, strict=True)]
    assert joined == [sorted(batch) for batch in whole]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 41}, "batch_size is 41, but an epoch has 40 rows.*set it lower"),
        ({"num_replicas": 3}, "batch_size is 4: 3 processes.*multiple of 3"),
    ],
)
def test_batches_that_cannot_be_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        batches(**options)


def test_shares_are_those_of_the_draws() -> None:
    keys, weights = np.arange(40) % 3, np.linspace(1, 2, 40)
    found = np.exp(log_shares(GROUPS, keys, weights))
    for row in range(40):
        is_same = (GROUPS[row] == GROUPS) & (keys[row] == keys)
        expected = weights[is_same].sum() / weights[GROUPS[row] == GROUPS].sum()
        assert found[row] == pytest.approx(expected, rel=1e-5)


def test_events_of_a_user_are_drawn_in_runs_whose_starts_change() -> None:
    owners = np.repeat([3, 4, 8, 9], 10)
    group = np.zeros(40, dtype=np.int64)
    orders = []
    for epoch in range(5):
        sampler = DomainBatches(group, np.ones(40), 40, 40, run_ids=owners, run_length=4)
        sampler.set_epoch(epoch)
        [rows] = list(sampler)
        follows = (np.diff(rows) == 1) & (np.diff(owners[rows]) == 0)
        lengths = np.diff(np.flatnonzero(np.r_[True, ~follows, True]))
        assert lengths.max() >= 4  # runs may meet by chance
        assert 10 <= len(lengths) <= 16
        assert sorted(rows.tolist()) == list(range(40))
        breaks = np.flatnonzero(~follows) + 1
        orders.append(frozenset((rows[breaks] % 10).tolist()))
    assert len(set(orders)) > 1, "runs start elsewhere in another epoch"


def test_runs_of_rows_of_unequal_weight_are_refused() -> None:
    with pytest.raises(InputError, match="run_length is 2"):
        DomainBatches(
            np.zeros(4, dtype=np.int64),
            np.array([1.0, 1.0, 2.0, 2.0]),
            2,
            4,
            run_ids=np.arange(4),
            run_length=2,
        )
