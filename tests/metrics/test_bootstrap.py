"""Intervals against scipy, brute force and the normal approximation."""

import numpy as np
import pytest
from scipy import stats

from xrec_lightning.metrics import bootstrap
from xrec_lightning.metrics.bootstrap import paired_bootstrap


def make_differences(num_rows: int, num_metrics: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(size=(num_rows, num_metrics)) - 0.9


def everyone(num_rows: int) -> np.ndarray:
    return np.ones((num_rows, 1), dtype=bool)


def test_interval_agrees_with_scipy() -> None:
    differences = make_differences(80)
    ours = paired_bootstrap(differences, everyone(80), num_resamples=20_000)
    scipys = stats.bootstrap(
        (differences[:, 0],), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    assert ours.means[0, 0] == pytest.approx(differences.mean())
    assert ours.lows[0, 0] == pytest.approx(scipys.low, abs=0.005)
    assert ours.highs[0, 0] == pytest.approx(scipys.high, abs=0.005)


def test_clusters_agree_with_a_loop_over_drawn_users() -> None:
    generator = np.random.default_rng(5)
    users = generator.integers(30, size=150)
    differences = make_differences(150) + users[:, None] / 30
    mask = generator.random((150, 1)) < 0.4
    ours = paired_bootstrap(differences, mask, users, num_resamples=8000)
    draws = []
    for _ in range(4000):
        picked = generator.choice(np.unique(users), size=len(np.unique(users)))
        rows = np.concatenate([np.flatnonzero((users == user) & mask[:, 0]) for user in picked])
        draws.append(differences[rows, 0].mean())
    low, high = np.quantile(draws, [0.025, 0.975])
    assert ours.means[0, 0] == pytest.approx(differences[mask[:, 0], 0].mean())
    assert ours.lows[0, 0] == pytest.approx(low, abs=0.02)
    assert ours.highs[0, 0] == pytest.approx(high, abs=0.02)


def test_rows_of_one_user_widen_the_interval() -> None:
    differences = np.repeat(make_differences(50), 8, axis=0)
    users = np.repeat(np.arange(50), 8)
    apart = paired_bootstrap(differences, everyone(400))
    together = paired_bootstrap(differences, everyone(400), users)
    assert together.highs - together.lows > 2 * (apart.highs - apart.lows)


def test_coverage_is_near_the_confidence() -> None:
    generator = np.random.default_rng(2)
    samples = generator.normal(0.3, 1, size=(300, 60, 1))
    hits = 0
    for sample in samples:
        interval = paired_bootstrap(sample, everyone(60), num_resamples=300)
        hits += interval.lows[0, 0] <= 0.3 <= interval.highs[0, 0]
    assert 0.90 <= hits / 300 <= 0.98


def test_metrics_and_slices_are_as_if_alone() -> None:
    differences = make_differences(40, num_metrics=3)
    mask = np.random.default_rng(3).random((40, 2)) < 0.6
    table = paired_bootstrap(differences, mask, seed=4)
    alone = paired_bootstrap(differences[:, [2]], mask[:, [1]], seed=4)
    for whole, part in zip(table, alone, strict=True):
        assert whole.shape == (2, 3)
        assert whole[1, 2] == pytest.approx(part[0, 0], rel=1e-9)


def test_blocks_and_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = make_differences(30)
    whole = paired_bootstrap(differences, everyone(30), num_resamples=100, seed=1)
    assert paired_bootstrap(differences, everyone(30), num_resamples=100, seed=1) == whole
    assert paired_bootstrap(differences, everyone(30), num_resamples=100, seed=2).lows != whole.lows
    monkeypatch.setattr(bootstrap, "MAX_CELLS", 7 * 30)
    blocks = paired_bootstrap(differences, everyone(30), num_resamples=100, seed=1)
    np.testing.assert_allclose(np.stack(blocks), np.stack(whole))


def test_an_empty_slice_is_nan_and_no_row_is_refused() -> None:
    intervals = paired_bootstrap(make_differences(5), np.zeros((5, 1), dtype=bool))
    assert np.isnan(np.stack(intervals)).all()
    with pytest.raises(ValueError, match="no row"):
        paired_bootstrap(np.zeros((0, 1)), np.zeros((0, 1), dtype=bool))
