from collections.abc import Callable

import polars as pl

from xrec_lightning.data.steps import vocab

MakeLog = Callable[..., pl.DataFrame]


def test_items_of_catalog_and_log_are_sorted_with_all_their_domains(make_log: MakeLog) -> None:
    log = make_log([("u", "b", "tea", 1), ("u", "b", "pots", 2), ("u", "c", "tea", 3)])
    catalog = pl.LazyFrame(
        {
            "item_id": ["b", "a", "b", "x"],
            "domain": ["cups", "tea", None, None],
            "title_raw": [None, "A", "B", "X"],
            "brand": ["first", None, "second", None],
        }
    )
    items = vocab.collect_items(catalog, log, "title", ["title", "brand"])
    assert items.select("item_id", "domains", "title", "text", "brand").rows() == [
        ("a", ["tea"], "A", "A", None),
        ("b", ["cups", "pots", "tea"], "B", "B. first", "first"),
        ("c", ["tea"], None, None, None),
    ]


def test_the_only_domain_is_lent_to_a_catalog_without_domains(make_log: MakeLog) -> None:
    catalog = pl.LazyFrame({"item_id": ["a", "z"]})
    one = make_log([("u", "a", "tea", 1)])
    assert vocab.collect_items(catalog, one, None, [])["item_id"].to_list() == ["a", "z"]
    two = make_log([("u", "a", "tea", 1), ("u", "b", "pots", 1)])
    assert vocab.collect_items(catalog, two, None, [])["item_id"].to_list() == ["a", "b"]


def test_without_catalog_items_have_no_text(make_log: MakeLog) -> None:
    items = vocab.collect_items(None, make_log([("u", "a", "tea", 1)]), None, [])
    assert items.rows(named=True) == [
        {"item_id": "a", "domains": ["tea"], "title": None, "text": None}
    ]


def test_users_are_those_of_the_log_with_their_profile(make_log: MakeLog) -> None:
    log = make_log([("v", "a", "d", 1), ("u", "a", "d", 1), ("v", "b", "d", 2)])
    profiles = pl.LazyFrame({"user_id": ["w", "v"], "age": [1, 65], "profile": ["x", "old"]})
    users = vocab.collect_users(profiles, log, ["profile", "age"])
    assert users.select("user_id", "text", "age").rows() == [
        ("u", None, None),
        ("v", "old. 65", 65),
    ]
    assert vocab.collect_users(None, log, []).rows() == [("u", None), ("v", None)]


def test_indices_start_at_one_and_follow_the_sorted_ids(make_log: MakeLog) -> None:
    log = make_log([("v", "b", "tea", 1), ("u", "a", "pots", 2)])
    items = vocab.add_index(vocab.collect_items(None, log, None, []), "item_index")
    users = vocab.add_index(vocab.collect_users(None, log, []), "user_index")
    domains = vocab.domain_names(items)
    assert domains == ["pots", "tea"]
    events = vocab.encode(log, users, items, domains)
    assert events.columns[:3] == ["user_index", "item_index", "domain_index"]
    assert events.select(events.columns[:3]).rows() == [(2, 2, 2), (1, 1, 1)]
    assert set(events.dtypes[:3]) == {pl.Int32}


def test_only_training_events_are_counted() -> None:
    items = pl.DataFrame({"item_index": [1, 2, 3], "item_id": list("abc"), "domains": [["d"]] * 3})
    items = items.with_columns(
        pl.col("item_index").cast(pl.Int32), title=pl.lit(None), text=pl.lit("x"), size=pl.lit(7)
    )
    events = pl.DataFrame(
        {"item_index": [1, 1, 1, 3], "split": ["train", "train", "val", "hidden"]},
        schema_overrides={"item_index": pl.Int32},
    )
    counted = vocab.count_training(items, events)
    assert counted["train_count"].to_list() == [2, 0, 0]
    assert counted["is_hidden"].to_list() == [False, False, True]
    assert counted.columns[-3:] == ["train_count", "is_hidden", "size"]
