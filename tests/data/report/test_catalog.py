"""Items, their texts and their popularity."""

from itertools import product
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.data.config.tables import ItemsConfig
from xrec_lightning.data.raw.kinds import SourceFile
from xrec_lightning.data.report.catalog import (
    add_texts,
    find_ids_without_item,
    find_items,
    item_frame,
    measure_popularity,
    text_columns,
)
from xrec_lightning.data.report.table import KEY, key_rows

COUNTS = pl.DataFrame({"item_id": ["a", "b", "zz"], "len": [5, 3, 2], KEY: [0, 1, 7]})


def collect_items(rows: dict[str, list[str | None]]) -> pl.DataFrame:
    frame = add_texts(pl.LazyFrame(rows), ["title_raw"])
    table = key_rows([frame], [SourceFile(Path("items.csv"), "items.csv")], ["item_id"])
    return item_frame(table).collect()


def test_popularity_by_hand() -> None:
    popularity = measure_popularity(pl.Series([1, 6, 2, 1]))
    assert popularity.top_shares == {"1%": 0.6, "5%": 0.6, "10%": 0.6, "20%": 0.6, "50%": 0.8}
    assert measure_popularity(pl.Series([0, 0])).gini == 0


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=12))
def test_gini_equals_its_definition(counts: list[int]) -> None:
    differences = sum(abs(left - right) for left, right in product(counts, counts))
    expected = differences / (2 * len(counts) * sum(counts))
    assert measure_popularity(pl.Series(counts)).gini == pytest.approx(expected, abs=1e-6)


def test_text_comes_from_a_template_where_there_is_one() -> None:
    config = ItemsConfig(path="-", text=["title", "size"])
    assert text_columns(config) == ["title_raw", "size"]
    by_template = ItemsConfig(path="-", text=["size"], template="{title}[, by {brand}]")
    assert text_columns(by_template) == ["title_raw", "brand"]


def test_each_fault_counts_items_and_has_its_first_row() -> None:
    items = collect_items(
        {
            "item_id": ["a", "b", "c", "c", "d", "d", "e", "e"],
            "domain": ["x", "x", "x", "x", "x", "x", "x", "y"],
            "title_raw": ["Tea", "Tea", "Pot", "Pan", "Cup", "Cup", None, " "],
        }
    )
    found = {each.finding.code: each for each in find_items(items, COUNTS)}
    assert {code: (each.finding.count, each.key) for code, each in found.items()} == {
        "items_without_events": (3, 2),
        "items_without_text": (1, 6),
        "repeated_texts": (2, 0),
        "item_texts_differ": (1, 2),
        "item_rows_repeated": (1, 4),
    }
    assert "1 such texts, the most common of 2 items" in found["repeated_texts"].finding.message


def test_table_without_domains_may_repeat_no_item() -> None:
    items = collect_items({"item_id": ["a", "a", "b"], "title_raw": ["Tea", "Tea", "Pot"]})
    assert [each.finding.code for each in find_items(items, COUNTS)] == ["item_rows_repeated"]


def test_unknown_ids_are_located_in_the_log() -> None:
    items = collect_items({"item_id": ["a", "b"], "title_raw": ["Tea", "Pot"]})
    (found,) = find_ids_without_item(items, COUNTS)
    assert (found.key, found.finding.count, found.finding.share) == (7, 1, round(1 / 3, 6))
    assert "20.0% of the rows" in found.finding.message
    assert find_ids_without_item(items, COUNTS.head(2)) == []
