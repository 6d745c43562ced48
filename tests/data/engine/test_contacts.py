"""Contacts of people in texts."""

import logging

import polars as pl
import pytest

from xrec_lightning.data.config.tables import ItemsConfig, UsersConfig
from xrec_lightning.data.engine import contacts

ROWS = pl.LazyFrame(
    {
        "item_id": ["jo@shop.org", "b", "c"],
        "title_raw": ["ask jo@shop.org", None, "or +49 30 1234567 jo@shop.org"],
        "brand": ["x", "y", "z"],
        "price": [1.0, 2.0, 3.0],
    }
)


def test_contacts_are_counted_by_column_and_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = contacts.find_contacts("items", ROWS, ["title", "brand", "price"])
    assert found == {"title": {"email_in_text": 2, "phone_in_text": 1}}
    first, second = caplog.messages
    assert first.startswith("items: e-mail addresses in `title`, in 2 rows, as j***@***.org; ")
    assert second.startswith("items: phone numbers in `title`, in 1 rows")
    assert "jo@shop" not in caplog.text


def test_without_texts_nothing_is_looked_at() -> None:
    assert contacts.find_contacts("items", None, ["title"]) == {}
    assert contacts.find_contacts("items", ROWS, []) == {}


def test_columns_are_those_that_are_read_by_people_and_models() -> None:
    assert contacts.item_columns(None) == contacts.user_columns(None) == []
    items = ItemsConfig(path="-", title="name", text=["name", "about"], tags=["tags"])
    assert contacts.item_columns(items) == ["name", "about"]
    filled = ItemsConfig(path="-", title="name", template="{about}[ by {maker}]", text=["unused"])
    assert contacts.item_columns(filled) == ["name", "about", "maker"]
    users = UsersConfig(path="-", text=["user_id", "bio"], profile=["city", "bio"])
    assert contacts.user_columns(users) == ["user_id", "bio", "city"]
