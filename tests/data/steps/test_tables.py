import numpy as np
import polars as pl

from xrec_lightning.data.config.tables import ItemsConfig, UsersConfig
from xrec_lightning.data.steps import tables

CATALOG = pl.LazyFrame(
    {
        "item_id": ["b", "a", "b", "x"],
        "domain": ["cups", "tea", None, None],
        "title_raw": [None, "A", "B", "X"],
        "brand": ["first", None, "second", None],
    }
)
PAIRS = pl.DataFrame({"item_id": ["b", "b", "c"], "domain": ["tea", "pots", "tea"]})


def test_items_of_catalog_and_log_are_sorted_with_all_their_domains() -> None:
    config = ItemsConfig(path="items.csv", title="title", text=["title", "brand"])
    items = tables.join_items(PAIRS, tables.merge_items(CATALOG, config), None)
    assert items.select("item_id", "domains", "title", "text", "brand").rows() == [
        ("a", ["tea"], "A", "A", None),
        ("b", ["cups", "pots", "tea"], "B", "B. first", "first"),
        ("c", ["tea"], None, None, None),
    ]


def test_a_template_makes_the_text_within_its_words() -> None:
    template = "{title}[ by {brand}], for all"
    config = ItemsConfig(path="items.csv", template=template, max_words=4)
    texts = tables.merge_items(CATALOG, config)["text"].to_list()
    assert texts == ["A, for all", "B by first, for", "X, for all"]


def test_the_only_domain_is_lent_to_a_catalog_without_domains() -> None:
    rows = tables.merge_items(pl.LazyFrame({"item_id": ["a", "z"]}), ItemsConfig(path="items.csv"))
    pairs = pl.DataFrame({"item_id": ["a"], "domain": ["tea"]})
    assert tables.join_items(pairs, rows, "tea")["item_id"].to_list() == ["a", "z"]
    assert tables.join_items(pairs, rows, None)["item_id"].to_list() == ["a"]
    assert tables.only_value(pl.Series(["tea"])) == "tea"
    assert tables.only_value(pl.Series(["tea", "pots"])) is None


def test_without_catalog_items_have_no_text() -> None:
    items = tables.join_items(PAIRS, tables.merge_items(None, None), None)
    assert items.filter(pl.col("item_id") == "c").rows(named=True) == [
        {"item_id": "c", "domains": ["tea"], "title": None, "text": None}
    ]


def test_users_are_those_of_the_log_with_their_profile() -> None:
    profiles = pl.LazyFrame({"user_id": ["w", "v"], "age": [1, 65], "profile": ["x", "old"]})
    ids = pl.Series(["u", "v"])
    rows = tables.merge_users(profiles, UsersConfig(path="users.csv", text=["profile", "age"]))
    assert tables.join_users(ids, rows).select("user_id", "text", "age").rows() == [
        ("u", None, None),
        ("v", "old. 65", 65),
    ]
    nobody = tables.merge_users(None, None)
    assert tables.join_users(ids, nobody).rows() == [("u", None), ("v", None)]


def test_counts_follow_our_columns() -> None:
    items = pl.DataFrame({"item_index": [1, 2], "item_id": ["a", "b"], "domains": [["d"]] * 2})
    items = items.with_columns(title=pl.lit(None), text=pl.lit("x"), size=pl.lit(7))
    counted = tables.add_counts(items, np.array([0, 5, 0]), np.array([False, False, True]))
    assert counted.columns[-3:] == ["train_count", "is_hidden", "size"]
    assert counted["train_count"].to_list() == [5, 0]
    assert counted["is_hidden"].to_list() == [False, True]
