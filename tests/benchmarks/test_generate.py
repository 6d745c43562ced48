from pathlib import Path

import generate
import polars as pl
import pytest
from generate import Sizes
from polars.testing import assert_frame_equal

SIZES = Sizes(num_interactions=2_050, num_users=50, num_items=200, seed=3)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "_CHUNK", 1_000)


def test_chunks_add_up_and_are_the_same_every_time() -> None:
    chunks = list(generate.generate(SIZES))
    assert [len(chunk) for chunk in chunks] == [1_000, 1_000, 50]
    for first, again in zip(chunks, generate.generate(SIZES), strict=True):
        assert_frame_equal(first, again)


def test_rows_are_in_order_of_time_with_visits_of_several_events() -> None:
    rows = pl.concat(generate.generate(SIZES))
    assert rows["timestamp"].is_sorted()
    visits = rows.select("user_id", "timestamp").n_unique()
    assert 0.3 * len(rows) < visits < 0.6 * len(rows)
    assert rows.group_by("timestamp").agg(pl.col("user_id").n_unique())["user_id"].max() <= 2


def test_items_have_one_domain_and_few_take_most() -> None:
    rows = pl.concat(generate.generate(SIZES))
    domains = rows.group_by("item_id").agg(pl.col("domain").n_unique())
    assert set(domains["domain"]) == {1}
    assert set(rows["domain"]) == set(generate.DOMAINS)
    counts = rows["item_id"].value_counts(sort=True)["count"]
    assert counts.head(50).sum() > 0.45 * len(rows)


def test_another_seed_gives_other_rows() -> None:
    other = Sizes(num_interactions=2_050, num_users=50, num_items=200, seed=4)
    first, second = (pl.concat(generate.generate(sizes)) for sizes in (SIZES, other))
    assert not first.equals(second)


def test_every_format_holds_the_same_rows(tmp_path: Path) -> None:
    for name in ("log.csv", "log.inter", "parts"):
        generate.write(tmp_path / name, SIZES)
    expected = pl.concat(generate.generate(SIZES))
    assert_frame_equal(pl.read_csv(tmp_path / "log.csv"), expected)
    assert_frame_equal(pl.read_parquet(tmp_path / "parts" / "*.parquet"), expected)
    atomic = pl.read_csv(tmp_path / "log.inter", separator="\t")
    assert atomic.columns == ["user_id:token", "item_id:token", "domain:token", "timestamp:float"]
    assert_frame_equal(
        atomic.rename(dict(zip(atomic.columns, expected.columns, strict=True))), expected
    )
