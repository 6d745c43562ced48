import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.steps import vocab

ROWS = pl.DataFrame(
    {
        "user_id": ["v", "u", None],
        "item_id": ["b", "a", "b"],
        "domain": ["tea", "pots", None],
        "timestamp": [1, 2, 3],
    }
)


def test_indices_start_at_one_and_follow_the_sorted_ids() -> None:
    ids = vocab.distinct_ids(ROWS)
    assert [each.to_list() for each in ids] == [["u", "v"], ["a", "b"], ["pots", "tea"]]
    events = vocab.encode(ROWS, ids, first_user=11)
    assert events.columns == ["user_index", "item_index", "domain_index", "timestamp"]
    assert events.rows() == [(12, 2, 2, 1), (11, 1, 1, 2), (None, 2, None, 3)]
    assert set(events.dtypes[:3]) == {pl.Int32}
    assert vocab.with_ids(events, ids, first_user=11).select(ROWS.columns).equals(ROWS)


@given(st.lists(st.text(min_size=1)))
def test_an_index_leads_back_to_its_id(values: list[str]) -> None:
    series = pl.Series(values, dtype=pl.String)
    ids = series.unique().sort()
    assert vocab.decode(vocab.index_of(series, ids) + 4, ids, first=5).to_list() == values


def test_unknown_values_have_no_index() -> None:
    known, nothing = pl.Series(["a", "b"]), pl.Series([], dtype=pl.String)
    assert vocab.index_of(pl.Series(["b", "x", None]), known).to_list() == [2, None, None]
    assert vocab.index_of(known, nothing).to_list() == [None, None]


def test_the_union_of_parts_is_sorted_and_distinct() -> None:
    parts = [pl.Series(["b", "c"]), pl.Series(["a", "b"])]
    assert vocab.union(parts).to_list() == ["a", "b", "c"]
    assert vocab.union(parts[:1]).to_list() == ["b", "c"]


def test_rows_are_numbered_from_one() -> None:
    rows = vocab.add_index(pl.DataFrame({"id": ["a", "b"]}), "item_index")
    assert rows.rows() == [(1, "a"), (2, "b")]
    assert rows["item_index"].to_numpy().dtype == np.int32
