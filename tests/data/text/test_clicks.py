from pathlib import Path

import numpy as np
import pytest

from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.clicks import (
    Examples,
    split_users,
    target_choices,
    training_choices,
)


@pytest.fixture
def prepared(tiny_dataset: Path) -> Prepared:
    return Prepared.open(locate(tiny_dataset))


@pytest.fixture
def choices(prepared: Prepared) -> Examples:
    return training_choices(prepared, np.ones(len(prepared.users()) + 1, dtype=bool))


def test_users_belong_to_one_split_each() -> None:
    splits = split_users(1000, 0.1, seed=0)
    assert (splits["train"].astype(int) + splits["val"] + splits["test"] == 1).all()
    assert splits["val"].mean() == pytest.approx(0.1, abs=0.03)
    assert splits["test"].mean() == pytest.approx(0.1, abs=0.03)


def test_training_choices_are_those_found_event_by_event(
    prepared: Prepared, choices: Examples
) -> None:
    expected = []
    for user in range(1, len(prepared.users()) + 1):
        start = int(prepared.offsets[user - 1])
        for at in range(start, int(prepared.train_ends[user - 1])):
            end = next(p for p in range(start, at + 1) if prepared.times[p] == prepared.times[at])
            if end > start:
                expected.append((user, int(prepared.item_ids[at]), start, end))
    assert len(expected) > 50
    columns = (choices.user_ids, choices.item_ids, choices.history_starts, choices.history_ends)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == expected


def test_histories_are_strictly_earlier_and_end_before_validation(
    prepared: Prepared, choices: Examples
) -> None:
    first_target = dict(prepared.targets("val").select("user_index", "timestamp").iter_rows())
    for user, end in zip(choices.user_ids, choices.history_ends, strict=True):
        assert prepared.times[end - 1] < first_target[user]


def test_only_the_asked_users_count(prepared: Prepared) -> None:
    is_user = np.zeros(len(prepared.users()) + 1, dtype=bool)
    is_user[[2, 5]] = True
    assert set(training_choices(prepared, is_user).user_ids.tolist()) == {2, 5}
    assert set(target_choices(prepared, "test", is_user).user_ids.tolist()) <= {2, 5}


def test_all_choices_are_answered_yes(prepared: Prepared, choices: Examples) -> None:
    everyone = np.ones(len(prepared.users()) + 1, dtype=bool)
    for examples in (choices, target_choices(prepared, "val", everyone)):
        assert examples.labels.dtype == np.float32
        assert set(examples.labels.tolist()) == {1.0}
