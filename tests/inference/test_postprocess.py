import polars as pl
from polars.testing import assert_frame_equal

from xrec_lightning.inference.postprocess import (
    drop_duplicate_texts,
    drop_seen,
    postprocess,
    take_top_k,
)


def make_items(**columns: list) -> pl.DataFrame:
    """Two lists, of users 1 and 2 in domain 1; items 3 and 4 share a text, 5 and 6 lack one."""
    return pl.DataFrame(
        {
            "user_index": [1, 1, 1, 1, 2, 2],
            "domain_index": [1, 1, 1, 1, 1, 1],
            "item_index": [3, 4, 5, 6, 4, 3],
            "score": [0.5, 0.9, 0.7, 0.6, 0.2, 0.1],
            "text": ["soup", "soup", None, None, "soup", "stew"],
            **columns,
        }
    )


def test_seen_items_are_dropped_for_their_user_alone() -> None:
    seen = pl.DataFrame({"user_index": [1, 1], "item_index": [4, 9]})
    assert drop_seen(seen)(make_items()).rows() == [
        row for row in make_items().rows() if row[:3] != (1, 1, 4)
    ]


def test_the_best_of_one_text_stays_and_items_without_text_stay() -> None:
    kept = drop_duplicate_texts(make_items())
    assert kept["item_index"].to_list() == [4, 5, 6, 4, 3]


def test_lists_of_one_user_in_two_domains_are_apart() -> None:
    kept = drop_duplicate_texts(make_items(domain_index=[1, 2, 1, 1, 1, 1]))
    assert kept["item_index"].to_list() == [5, 6, 3, 4, 4, 3]


def test_the_best_items_are_ranked_from_one() -> None:
    best = take_top_k(2)(make_items())
    expected = pl.DataFrame(
        {"user_index": [1, 1, 2, 2], "item_index": [4, 5, 4, 3], "rank": [1, 2, 1, 2]},
        schema_overrides={"rank": pl.Int32},
    )
    assert_frame_equal(best.select(expected.columns), expected)


def test_steps_run_from_first_to_last() -> None:
    # Taking one before dropping the seen one leaves nothing for user 1.
    seen = pl.DataFrame({"user_index": [1], "item_index": [4]})
    steps = [take_top_k(1), drop_seen(seen)]
    assert postprocess(make_items(), steps)["user_index"].to_list() == [2]
    assert postprocess(make_items(), steps[::-1])["user_index"].to_list() == [1, 2]
