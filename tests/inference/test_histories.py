from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.behavior.known import Until
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.tokenize import load_tokenizer
from xrec_lightning.inference.histories import history_texts
from xrec_lightning.schema import ITEM_INDEX, TIMESTAMP, TITLE, USER_INDEX


@pytest.fixture(scope="module")
def prepared(tiny_dataset: Path) -> Prepared:
    return Prepared.open(locate(tiny_dataset))


def texts(prepared: Prepared, name: str, until: Until, titles: int, tokens: int) -> dict[str, str]:
    frame = history_texts(prepared, until, titles, load_tokenizer(name), tokens)
    assert frame["kind"].unique().to_list() == ["history"]
    return dict(frame.select("id", "text").iter_rows())


def titles_of(prepared: Prepared, user: int, before: int | None) -> list[str]:
    """Return the titles of a user's items before a time, oldest first, by search in the table."""
    rows = prepared.interactions().filter(pl.col(USER_INDEX) == user).collect()
    if before is not None:
        rows = rows.filter(pl.col(TIMESTAMP) < before)
    titled = rows.join(prepared.items().select(ITEM_INDEX, TITLE), on=ITEM_INDEX)
    return titled.sort(TIMESTAMP)[TITLE].drop_nulls().to_list()


@pytest.mark.parametrize("until", get_args(Until))
def test_texts_hold_what_is_strictly_earlier_than_the_target(
    prepared: Prepared, tiny_language: str, until: Until
) -> None:
    found = texts(prepared, tiny_language, until, 100, 1000)
    users = prepared.users()["user_id"].to_list()
    assert set(found) == set(users)
    split = {"train": "val", "val": "val", "test": "test"}.get(until)
    for user, name in enumerate(users, start=1):
        before = None
        if split is not None:
            targets = prepared.targets(split).filter(pl.col(USER_INDEX) == user)
            before = targets[TIMESTAMP].min()
            assert before is not None
        expected = titles_of(prepared, user, before)  # type: ignore[arg-type]  # polars is vague
        assert sorted(found[name].split("; ")) == sorted(expected)


def test_the_newest_titles_come_last_and_the_oldest_are_cut(
    prepared: Prepared, tiny_language: str
) -> None:
    whole = texts(prepared, tiny_language, "now", 100, 1000)
    few = texts(prepared, tiny_language, "now", 3, 1000)
    fitting = texts(prepared, tiny_language, "now", 100, 14)
    tokenizer = load_tokenizer(tiny_language)
    for name, text in whole.items():
        assert few[name] == "; ".join(text.split("; ")[-3:])
        assert text.endswith("; " + fitting[name])
        longer = "; ".join(text.split("; ")[-1 - len(fitting[name].split("; ")) :])
        assert len(tokenizer(fitting[name])["input_ids"]) <= 14
        assert len(tokenizer(longer)["input_ids"]) > 14


def test_users_without_history_have_no_text(
    prepared: Prepared, tiny_language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = np.array(prepared.train_ends)
    ends[0] = prepared.offsets[0]
    monkeypatch.setitem(prepared.__dict__, "train_ends", ends)
    monkeypatch.setattr(Prepared, "open", lambda _: prepared)
    found = texts(prepared, tiny_language, "train", 5, 64)
    assert len(found) == len(prepared.users()) - 1
