import math
import shutil
from pathlib import Path

import polars as pl
import pytest

from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.cooccurrence import is_held_out, read_pairs


@pytest.fixture
def prepared(tiny_dataset: Path, tmp_path: Path) -> Prepared:
    """A copy of the tiny data with five items of our own and the edges between them."""
    folder = tmp_path / "prepared"
    shutil.copytree(locate(tiny_dataset), folder)
    texts = ["tea", "pot", "tea", None, "cup"]
    domains = [["tea"], ["pots"], ["tea"], ["pots"], ["pots"]]
    columns = {"item_index": [1, 2, 3, 4, 5], "text": texts, "domains": domains}
    items = pl.DataFrame(columns, schema_overrides={"item_index": pl.Int32})
    items.write_parquet(folder / "items.parquet")
    edges = [(1, 2, 3), (2, 3, 1), (1, 3, 9), (2, 4, 9), (1, 5, 1), (2, 5, 1)]
    names = ["left_index", "right_index", "count"]
    frame = pl.DataFrame(edges, schema=dict.fromkeys(names, pl.Int32), orient="row")
    frame.write_parquet(folder / "graph" / "item_item.parquet")
    return Prepared.open(folder)


def test_items_of_equal_text_count_as_one_and_pairs_need_text(prepared: Prepared) -> None:
    pairs = read_pairs(prepared, min_count=1, min_lift=0.0)
    assert pairs.texts == ["tea", "pot", "cup"]
    assert pairs.item_ids.tolist() == [1, 2, 5]
    found = dict(zip(zip(pairs.left, pairs.right, strict=True), pairs.strengths, strict=True))
    # Edges: tea-pot 4, tea-cup 1, pot-cup 1; each text's edges: 5, 5, 2 of 12 ends.
    assert found.keys() == {(0, 1), (0, 2), (1, 2)}
    assert found[0, 1] == pytest.approx(4 * math.log(1 + 4 / (5 * 5 / 12)))
    assert found[1, 2] == pytest.approx(1 * math.log(1 + 1 / (5 * 2 / 12)))


def test_rare_and_chance_pairs_are_left_out(prepared: Prepared) -> None:
    frequent = read_pairs(prepared, min_count=2, min_lift=0.0)
    assert list(zip(frequent.left, frequent.right, strict=True)) == [(0, 1)]
    lifted = read_pairs(prepared, min_count=1, min_lift=1.5)
    assert list(zip(lifted.left, lifted.right, strict=True)) == [(0, 1)]
    with pytest.raises(ValueError, match="lower min_count"):
        read_pairs(prepared, min_count=5)


def test_without_training_edges_nothing_is_made_up(prepared: Prepared) -> None:
    (prepared.folder / "graph" / "item_item.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"item_item\.parquet.*xrec prepare"):
        read_pairs(prepared)


def test_held_out_pairs_follow_the_seed(prepared: Prepared) -> None:
    pairs = read_pairs(prepared, min_count=1, min_lift=0.0)
    assert is_held_out(pairs, 0.5, 3).tolist() == is_held_out(pairs, 0.5, 3).tolist()
    assert not is_held_out(pairs, 0.0, 3).any()
    assert is_held_out(pairs, 1.0, 3).all()


def test_pairs_of_the_same_two_domains_have_one_number(prepared: Prepared) -> None:
    pairs = read_pairs(prepared, min_count=1, min_lift=0.0)  # tea-pot, tea-cup, pot-cup
    assert list(zip(pairs.left, pairs.right, strict=True)) == [(0, 1), (0, 2), (1, 2)]
    first, second, third = pairs.domain_pairs
    assert first == second != third
