from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.data.config.steps import SplitConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.steps.clean import part
from xrec_lightning.data.steps.cuts import (
    LATE,
    Cuts,
    find_cuts,
    flag_late,
    given_cuts,
    needed_times,
)

MakeEvents = Callable[..., pl.DataFrame]
DAY = 86_400


def cuts(shards: list[pl.DataFrame], config: SplitConfig) -> Cuts | None:
    return find_cuts([needed_times(each, config) for each in shards], config)


@pytest.mark.parametrize("method", ["leave_one_out", "last_n", "ratio"])
def test_methods_by_user_have_no_cuts(make_events: MakeEvents, method: str) -> None:
    config = SplitConfig(method=method)
    assert cuts([make_events([(0, 0, 5)])], config) is None
    assert len(needed_times(make_events([(0, 0, 5)]), config)) == 0


def test_given_cuts_need_no_times(make_events: MakeEvents) -> None:
    config = SplitConfig(method="global_time", val_from=20, test_from="1970-01-01T00:00:30")
    assert cuts([make_events([(0, 0, 5)])], config) == given_cuts(config) == (20, 30, None)
    assert len(needed_times(make_events([(0, 0, 5)]), config)) == 0


@pytest.mark.parametrize(("val_from", "test_from"), [("soon", 5), (5, 5), (5, "late")])
def test_cuts_that_are_no_times_in_order_are_refused(
    val_from: int | str, test_from: int | str
) -> None:
    config = SplitConfig(method="global_time", val_from=val_from, test_from=test_from)
    with pytest.raises(InputError, match=f"split.val_from: {val_from}"):
        given_cuts(config)


@settings(deadline=None)
@given(
    shards=st.lists(st.lists(st.integers(0, 9), min_size=1), min_size=1, max_size=3),
    val_share=st.sampled_from([0.0, 0.1, 0.3]),
    test_share=st.sampled_from([0.0, 0.1, 0.3]),
)
def test_shares_are_of_the_events_of_all_shards(
    make_events: MakeEvents, shards: list[list[int]], val_share: float, test_share: float
) -> None:
    config = SplitConfig(method="global_time", val_share=val_share, test_share=test_share)
    logs = [make_events([(0, 0, time) for time in times]) for times in shards]
    times = sorted(time for each in shards for time in each)
    expected = [
        [*times, times[-1]][round((1 - share) * len(times))]
        for share in (val_share + test_share, test_share)
    ]
    assert cuts(logs, config) == (*expected, None)


def test_a_fold_is_a_window_before_the_end_of_the_log(make_events: MakeEvents) -> None:
    shards = [make_events([(0, 0, 0), (0, 0, 10 * DAY)]), make_events([]), make_events([(1, 0, 7)])]
    config = SplitConfig(method="folds", fold=0, fold_days=2)
    last = 10 * DAY + 1
    assert cuts(shards, config) == (last - 4 * DAY, last - 2 * DAY, last)
    config = SplitConfig(method="folds", fold=3, fold_days=0.5)
    assert cuts(shards, config) == (last - 2.5 * DAY, last - 2 * DAY, last - 1.5 * DAY)


def test_events_behind_the_window_are_dropped(make_events: MakeEvents) -> None:
    log = make_events([(0, 0, 9), (0, 1, 10), (1, 0, 11)])
    kept, rejected = part(flag_late(log, Cuts(2, 5, 10)))
    assert kept["row"].to_list() == [0]
    assert rejected["reason"].to_list() == [LATE] * 2
    for no_end in (None, Cuts(2, 5)):
        assert flag_late(log, no_end)["reason"].null_count() == 3


@settings(deadline=None)
@given(times=st.lists(st.integers(0, 20 * DAY), min_size=1))
def test_each_event_is_tested_in_one_fold(times: list[int]) -> None:
    width, last = 5 * DAY, max(times)
    folds = []
    for fold in range(6):
        has_training = last + 1 - (fold + 2) * width > min(times)
        with nullcontext() if has_training else pytest.raises(InputError, match="nothing trains"):
            folds.append(
                find_cuts([np.array(times)], SplitConfig(method="folds", fold=fold, fold_days=5))
            )
    for time in times:
        number = (last - time) // width
        is_tested = last + 1 - (number + 2) * width > min(times)
        tested = [each for each in folds if each and each.test_from <= time < (each.until or 0)]
        assert len(tested) == is_tested


def test_a_fold_before_the_log_is_refused(make_events: MakeEvents) -> None:
    shards = [make_events([(0, 0, 0)]), make_events([(0, 0, 10 * DAY)])]
    config = SplitConfig(method="folds", fold=4, fold_days=2)
    with pytest.raises(InputError, match=r"split.fold: 4 with .*fold_days: 2: .*10.0 days.*lower"):
        cuts(shards, config)


@pytest.mark.parametrize("method", ["folds", "global_time"])
def test_nothing_cannot_be_cut(make_events: MakeEvents, method: str) -> None:
    with pytest.raises(InputError, match=f"split.method: {method}: .*no interaction"):
        cuts([make_events([])], SplitConfig(method=method))
