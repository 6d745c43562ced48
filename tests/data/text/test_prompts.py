import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.text.prompts import RelatedTitles, history_text

TITLES = ["", "green tea", "iron pot", "tea pot", "black tea", "", "Green Tea", "shoe"]


def test_titles_are_joined_and_none_is_said() -> None:
    assert history_text(["a", "b"]) == "a; b"
    assert history_text([]) == "none"


def test_the_most_alike_comes_last_and_items_without_title_are_left_out() -> None:
    related = RelatedTitles(TITLES)
    assert related.choose([6, 5, 2, 7], item=1, count=3) == ["iron pot", "shoe", "Green Tea"]
    assert related.choose([6, 5, 2, 7], item=1, count=1) == ["Green Tea"]
    assert related.choose([5], item=1, count=2) == []


def test_of_equals_the_newest_is_chosen_and_a_title_once() -> None:
    related = RelatedTitles(TITLES)
    assert related.choose([2, 7], item=1, count=1) == ["shoe"]
    assert related.choose([7, 2], item=1, count=1) == ["iron pot"]
    assert related.choose([2, 7, 2], item=1, count=3) == ["shoe", "iron pot"]


def test_rare_words_weigh_more() -> None:
    related = RelatedTitles(["", "tea pot", "tea cup", "iron pot", "tea", "tea"])
    assert related.likeness(3, 1) > related.likeness(2, 1)


def test_likeness_is_worked_by_hand_where_all_words_weigh_the_same() -> None:
    related = RelatedTitles(["a b c", "b c d", "a d"])
    assert related.likeness(0, 0) == 1.0
    assert related.likeness(0, 1) == pytest.approx(2 / 4)
    assert related.likeness(0, 2) == pytest.approx(1 / 4)


@given(st.lists(st.sampled_from(range(len(TITLES))), max_size=9), st.integers(1, 5))
def test_nothing_left_out_is_more_alike(history: list[int], count: int) -> None:
    related = RelatedTitles(TITLES)
    chosen = [TITLES.index(title) for title in related.choose(history, item=3, count=count)]
    others = {i for i in history if TITLES[i]} - set(chosen)
    assert len(chosen) == min(count, len(chosen) + len(others))
    for left_out in others:
        assert all(related.likeness(i, 3) >= related.likeness(left_out, 3) for i in chosen)
