"""Keyed hashes of ids."""

import hashlib
import hmac

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.anonymize import (
    drop_columns,
    hash_ids,
    hash_table,
    read_key,
    replace_ids,
)

KEY = b"0123456789abcdef"


def expected(value: str, key: bytes = KEY) -> str:
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:32]


def test_ids_become_the_first_half_of_their_hmac() -> None:
    rows = pl.LazyFrame({"user_id": ["b", "a", None, "b"], "n": [1, 2, 3, 4]})
    hashed = hash_ids(rows, "user_id", KEY).collect()
    assert hashed.to_dict(as_series=False) == {
        "user_id": [expected("b"), expected("a"), None, expected("b")],
        "n": [1, 2, 3, 4],
    }


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=8))
def test_equal_ids_and_only_these_get_equal_hashes(values: list[str | None]) -> None:
    rows = pl.LazyFrame({"user_id": values}, schema={"user_id": pl.String})
    hashed = hash_ids(rows, "user_id", KEY).collect()["user_id"].to_list()
    assert hashed == [None if value is None else expected(value) for value in values]


def test_files_that_share_a_table_agree() -> None:
    table = hash_table(pl.Series(["a", "b", "a", None]), KEY)
    assert table.to_dict(as_series=False) == {
        "id": ["a", "b"],
        "hashed": [expected("a"), expected("b")],
    }
    parts = [pl.LazyFrame({"user_id": ids}) for ids in (["b"], ["a", "b"])]
    hashed = [replace_ids(rows, "user_id", table).collect()["user_id"].to_list() for rows in parts]
    assert hashed == [[expected("b")], [expected("a"), expected("b")]]


def test_another_key_gives_other_hashes() -> None:
    ids = pl.Series(["a", "b"])
    others = hash_table(ids, KEY[::-1])["hashed"]
    assert not set(hash_table(ids, KEY)["hashed"]) & set(others)


def test_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY.decode())
    assert read_key("TEST_KEY") == KEY


@pytest.mark.parametrize(
    ("value", "message"), [(None, "is not set"), ("", "is not set"), ("short", "holds 5 bytes")]
)
def test_missing_or_short_key_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str | None, message: str
) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("TEST_KEY", value)
    with pytest.raises(InputError, match=f"TEST_KEY {message}.*export TEST_KEY=") as error:
        read_key("TEST_KEY")
    assert "short" not in str(error.value)


def test_columns_are_dropped_by_the_names_of_the_file() -> None:
    profiles = pl.LazyFrame({"user_id": ["u"], "age": [30], "title_raw": ["Dr"], "city": ["Ulm"]})
    assert drop_columns(profiles, ["age", "title"]).collect_schema().names() == ["user_id", "city"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("agee", "no column `agee`; did you mean `age`?"),
        ("user_id", "no column `user_id`"),
        ("city", "`city` is used by"),
    ],
)
def test_absent_and_used_columns_are_refused(name: str, message: str) -> None:
    profiles = pl.LazyFrame({"user_id": ["u"], "age": [30], "city": ["Ulm"]})
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        drop_columns(profiles, [name], used=["city"])
