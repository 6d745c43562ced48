import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.steps import links


def linked(*pairs: tuple[str | None, str | None], kind: str | None = "user") -> pl.DataFrame:
    names = {"left_id": pl.String, "right_id": pl.String}
    frame = pl.DataFrame(list(pairs), schema=names, orient="row")
    return frame.with_columns(pl.lit(kind, pl.String).alias("kind"))


def test_chains_take_the_smallest_id() -> None:
    found = links.canonical_ids(linked(("c", "b"), ("x", "y"), ("a", "c"), ("d", "b")), "user")
    assert found.rows() == [
        ("a", "a"),
        ("b", "a"),
        ("c", "a"),
        ("d", "a"),
        ("x", "x"),
        ("y", "x"),
    ]


@pytest.mark.parametrize("pairs", [[("a", "b"), ("b", "a")], [("b", "b"), ("a", "b"), ("a", "a")]])
def test_cycles_and_links_with_itself_are_harmless(pairs: list[tuple[str, str]]) -> None:
    assert links.canonical_ids(linked(*pairs), "user").rows() == [("a", "a"), ("b", "a")]


def test_users_and_items_are_linked_apart() -> None:
    both = pl.concat([linked(("a", "b")), linked(("b", "c"), kind="item")])
    assert links.canonical_ids(both, "user").rows() == [("a", "a"), ("b", "a")]
    assert links.canonical_ids(both, "item").rows() == [("b", "b"), ("c", "b")]
    none = links.canonical_ids(linked(("a", "b")), "item")
    assert none.schema == {"id": pl.String, "canonical": pl.String}
    assert none.is_empty()


@given(st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("abcdefg")), max_size=10))
def test_groups_equal_repeated_relabeling(pairs: list[tuple[str, str]]) -> None:
    label = {each: each for pair in pairs for each in pair}
    for _ in label:
        for left, right in pairs:
            label[left] = label[right] = min(label[left], label[right])
    found = links.canonical_ids(linked(*pairs), "user")
    assert dict(found.iter_rows()) == label
    assert found["id"].is_sorted()


def test_linked_ids_are_replaced_and_others_stay_in_their_places() -> None:
    rows = pl.LazyFrame({"n": [1, 2, 3, 4], "user_id": ["z", "b", None, "a"], "m": [5, 6, 7, 8]})
    mapping = links.canonical_ids(linked(("a", "b")), "user")
    assert links.replace_ids(rows, mapping, "user_id").collect().to_dict(as_series=False) == {
        "n": [1, 2, 3, 4],
        "user_id": ["z", "a", None, "a"],
        "m": [5, 6, 7, 8],
    }


def test_links_that_cannot_be_used_say_why() -> None:
    rows = pl.concat(
        [
            linked(("a", "b"), (None, "b"), ("a", None)),
            *(linked(("a", "b"), kind=kind) for kind in ("shop", None, "item")),
        ]
    )
    unknown = links.UNKNOWN_KIND
    assert links.flag_links(rows)["reason"].to_list() == [
        None,
        links.INCOMPLETE,
        links.INCOMPLETE,
        unknown,
        unknown,
        None,
    ]


def test_linked_ids_that_occur_nowhere_are_counted() -> None:
    mapping = links.canonical_ids(linked(("a", "b"), ("c", "d")), "user")
    counts = links.count_links(mapping, pl.Series(["b", "c", "e"]))
    assert counts == {"linked": 4, "merged": 1, "absent": 2}
