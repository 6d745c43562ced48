"""Keyed hashes of ids."""

import hashlib
import hmac

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.anonymize import (
    drop_columns,
    hash_table,
    read_key,
)

KEY = b"0123456789abcdef"


def expected(value: str, key: bytes = KEY) -> str:
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:32]


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=8))
def test_each_id_becomes_the_first_half_of_its_hmac(values: list[str | None]) -> None:
    table = hash_table(pl.Series(values, dtype=pl.String), KEY)
    distinct = sorted({value for value in values if value is not None})
    assert table.columns == ["id", "hashed"]
    assert sorted(table.rows()) == [(value, expected(value)) for value in distinct]


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
