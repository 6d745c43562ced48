from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.clicks import (
    Choices,
    MatchedNegatives,
    add_negatives,
    split_users,
    target_choices,
    training_choices,
)


@pytest.fixture
def prepared(tiny_dataset: Path) -> Prepared:
    return Prepared.open(locate(tiny_dataset))


@pytest.fixture
def choices(prepared: Prepared) -> Choices:
    return training_choices(prepared, np.ones(len(prepared.users()) + 1, dtype=bool))


def test_users_belong_to_one_split_each() -> None:
    splits = split_users(1000, 0.1, seed=0)
    assert (splits["train"].astype(int) + splits["val"] + splits["test"] == 1).all()
    assert splits["val"].mean() == pytest.approx(0.1, abs=0.03)
    assert splits["test"].mean() == pytest.approx(0.1, abs=0.03)


def test_training_choices_are_those_found_event_by_event(
    prepared: Prepared, choices: Choices
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
    prepared: Prepared, choices: Choices
) -> None:
    first_target = dict(prepared.targets("val").select("user_index", "timestamp").iter_rows())
    for user, end in zip(choices.user_ids, choices.history_ends, strict=True):
        assert prepared.times[end - 1] < first_target[user]


def test_only_the_asked_users_count(prepared: Prepared) -> None:
    is_user = np.zeros(len(prepared.users()) + 1, dtype=bool)
    is_user[[2, 5]] = True
    assert set(training_choices(prepared, is_user).user_ids.tolist()) == {2, 5}
    assert set(target_choices(prepared, "test", is_user).user_ids.tolist()) <= {2, 5}


def test_negatives_are_untaken_of_the_same_domain_and_have_text(
    prepared: Prepared, choices: Choices
) -> None:
    clicks = add_negatives(choices, MatchedNegatives(prepared, width=30), seed=0)
    assert len(clicks.labels) > 50
    assert clicks.labels.tolist() == [1, 0] * (len(clicks.labels) // 2)
    items = prepared.items()
    taken = set(prepared.interactions().select("user_index", "item_index").collect().iter_rows())
    names = prepared.domains
    rows = zip(clicks.user_ids, clicks.item_ids, clicks.domain_ids, clicks.labels, strict=True)
    for user, item, domain, label in rows:
        assert ((user, item) in taken) == bool(label)
        assert names[domain - 1] in items["domains"][int(item) - 1]
        assert items["text"][int(item) - 1] is not None
    for column in (clicks.user_ids, clicks.domain_ids, clicks.history_ends):
        assert column[::2].tolist() == column[1::2].tolist()


def test_negatives_are_near_in_popularity(prepared: Prepared) -> None:
    negatives = MatchedNegatives(prepared, width=4)
    counts = prepared.items()["train_count"]
    ordered = [int(counts[int(item) - 1]) for item in negatives.ordered[0]]
    assert ordered == sorted(ordered)
    generator = np.random.default_rng(0)
    place = 6
    item = int(negatives.ordered[0][place])
    for user in range(1, len(prepared.users()) + 1):
        drawn = negatives.draw(user, item, 1, generator)
        assert drawn == 0 or drawn in negatives.ordered[0][place - 2 : place + 2]


def test_a_user_who_took_everything_near_gets_no_negative(prepared: Prepared) -> None:
    negatives = MatchedNegatives(prepared, width=1)
    taken = prepared.interactions().select("user_index", "item_index", "domain_index").collect()
    text = prepared.items().filter(pl.col("text").is_not_null())["item_index"]
    row = taken.filter(pl.col("item_index").is_in(text.implode())).row(0)
    assert negatives.draw(*row, np.random.default_rng(0)) == 0
