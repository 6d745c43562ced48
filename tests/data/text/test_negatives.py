from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.clicks import Examples, training_choices
from xrec_lightning.data.text.negatives import MatchedNegatives, add_negatives


@pytest.fixture
def prepared(tiny_dataset: Path) -> Prepared:
    return Prepared.open(locate(tiny_dataset))


@pytest.fixture
def choices(prepared: Prepared) -> Examples:
    return training_choices(prepared, np.ones(len(prepared.users()) + 1, dtype=bool))


def choice(user: int, item: int, domain: int) -> Examples:
    """Return one choice without a history."""
    columns = [np.array([value]) for value in (user, item, domain, 0, 0)]
    return Examples(*columns, np.ones(1, dtype=np.float32))


@pytest.mark.parametrize("count", [1, 3])
def test_negatives_are_untaken_of_the_same_domain_and_have_text(
    prepared: Prepared, choices: Examples, count: int
) -> None:
    examples = add_negatives(choices, MatchedNegatives(prepared, width=30), seed=0, count=count)
    size = 1 + count
    assert len(examples.labels) > 50
    assert examples.labels.tolist() == ([1] + [0] * count) * (len(examples.labels) // size)
    items = prepared.items()
    taken = set(prepared.interactions().select("user_index", "item_index").collect().iter_rows())
    rows = zip(
        examples.user_ids, examples.item_ids, examples.domain_ids, examples.labels, strict=True
    )
    for user, item, domain, label in rows:
        assert ((user, item) in taken) == bool(label)
        assert prepared.domains[domain - 1] in items["domains"][int(item) - 1]
        assert items["text"][int(item) - 1] is not None
    for column in (examples.user_ids, examples.domain_ids, examples.history_ends):
        groups = column.reshape(-1, size)
        assert (groups == groups[:, :1]).all()
    assert all(len(set(group)) == size for group in examples.item_ids.reshape(-1, size))


def test_negatives_are_near_in_popularity(prepared: Prepared) -> None:
    negatives = MatchedNegatives(prepared, width=4)
    counts = prepared.items()["train_count"]
    of_domain = negatives.ordered[: negatives.ends[1]]
    popularity = [int(counts[int(item) - 1]) for item in of_domain]
    assert popularity == sorted(popularity)
    generator = np.random.default_rng(0)
    place = 6
    found = set()
    for user in range(1, len(prepared.users()) + 1):
        (drawn,) = negatives.draw(choice(user, int(of_domain[place]), 1), 1, generator)[0]
        assert drawn == 0 or drawn in of_domain[place - 2 : place + 2]
        found.add(int(drawn))
    assert len(found - {0}) > 1


def test_a_user_who_took_everything_near_gets_no_negative(prepared: Prepared) -> None:
    negatives = MatchedNegatives(prepared, width=1)
    taken = prepared.interactions().select("user_index", "item_index", "domain_index").collect()
    text = prepared.items().filter(pl.col("text").is_not_null())["item_index"]
    row = taken.filter(pl.col("item_index").is_in(text.implode())).row(0)
    drawn = negatives.draw(choice(*row), 1, np.random.default_rng(0))
    assert drawn.tolist() == [[0]]
    assert len(add_negatives(choice(*row), negatives, seed=0).labels) == 0


def test_more_negatives_than_items_are_no_negatives(prepared: Prepared, choices: Examples) -> None:
    negatives = MatchedNegatives(prepared, width=8)
    assert len(add_negatives(choices, negatives, seed=0, count=9).labels) == 0


def test_an_item_without_text_gets_no_negative(prepared: Prepared) -> None:
    items = prepared.items()
    silent = int(items.filter(pl.col("text").is_null())["item_index"][0])
    domain = prepared.domains.index(items["domains"][silent - 1][0]) + 1
    negatives = MatchedNegatives(prepared)
    assert not negatives.draw(choice(1, silent, domain), 1, np.random.default_rng(0)).any()


def test_fewer_choices_are_the_first_of_more(
    prepared: Prepared, choices: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    negatives = MatchedNegatives(prepared, width=6)
    whole = add_negatives(choices, negatives, seed=3)
    monkeypatch.setattr("xrec_lightning.data.text.negatives._CHUNK", 7)
    for limit in (1, 8, 20):
        some = add_negatives(choices, negatives, seed=3, limit=limit)
        assert len(some.labels) == 2 * limit
        for column, expected in zip(some, whole, strict=True):
            assert column.tolist() == expected[: 2 * limit].tolist()
