import shutil
from pathlib import Path

import polars as pl
import pytest

from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.distinct import read_texts


def prepared(tiny_dataset: Path, folder: Path, texts: list[str | None]) -> Prepared:
    """Return a copy of the tiny data with items of our own, the last one in both domains."""
    shutil.copytree(locate(tiny_dataset), folder)
    domains = [["tea"], ["pots"], ["tea"], ["pots"], ["tea", "pots"]]
    columns = {"item_index": [1, 2, 3, 4, 5], "text": texts, "domains": domains}
    types = {"item_index": pl.Int32, "text": pl.String}
    pl.DataFrame(columns, schema_overrides=types).write_parquet(folder / "items.parquet")
    return Prepared.open(folder)


def test_items_of_equal_text_share_it(tiny_dataset: Path, tmp_path: Path) -> None:
    data = prepared(tiny_dataset, tmp_path / "data", ["mug", "pot", "mug", None, "cup"])
    assert data.domains == ("pots", "tea")
    texts = read_texts(data)
    assert texts.texts == ["mug", "pot", "cup"]
    assert texts.item_ids.tolist() == [1, 2, 5]
    assert texts.row_of.tolist() == [-1, 0, 1, 0, -1, 2]
    assert texts.leaders.tolist() == [0, 1, 2, 1, 0, 5]
    assert texts.domain_ids.tolist() == [2, 1, 0]


def test_a_text_of_items_of_two_domains_has_none(tiny_dataset: Path, tmp_path: Path) -> None:
    data = prepared(tiny_dataset, tmp_path / "data", ["mug", "mug", None, None, None])
    assert read_texts(data).domain_ids.tolist() == [0]


def test_data_without_text_are_refused(tiny_dataset: Path, tmp_path: Path) -> None:
    data = prepared(tiny_dataset, tmp_path / "data", [None] * 5)
    with pytest.raises(ValueError, match="no item has a text; name columns"):
        read_texts(data)
