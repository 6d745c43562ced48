import re
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.text.prompts import HistoryChoice, NewestTitles, RelatedTitles

TITLES = ["", "green tea", "iron pot", "tea pot", "black tea", "", "Green Tea", "shoe"]
histories = st.lists(st.sampled_from(range(len(TITLES))), max_size=9)


def chosen(choice: HistoryChoice, history: list[int], item: int, count: int) -> list[str]:
    positions = choice.choose(np.array(history, dtype=np.int64), item, count)
    return [choice.titles[history[at]] for at in positions]


def test_the_most_alike_comes_last_and_items_without_title_are_left_out() -> None:
    related = RelatedTitles(TITLES)
    assert chosen(related, [6, 5, 2, 7], 1, 3) == ["iron pot", "shoe", "Green Tea"]
    assert chosen(related, [6, 5, 2, 7], 1, 1) == ["Green Tea"]
    assert chosen(related, [5], 1, 2) == []
    assert chosen(related, [], 1, 2) == []


def test_of_equals_the_newest_is_chosen_and_a_title_once() -> None:
    related = RelatedTitles(TITLES)
    assert chosen(related, [2, 7], 1, 1) == ["shoe"]
    assert chosen(related, [7, 2], 1, 1) == ["iron pot"]
    assert chosen(related, [2, 7, 2], 1, 3) == ["shoe", "iron pot"]


def test_a_title_that_repeats_is_that_of_its_newest_item() -> None:
    history = np.array([2, 7, 2, 0, 3])
    for choice in (RelatedTitles(TITLES), NewestTitles(TITLES)):
        assert sorted(choice.choose(history, 1, 9)) == [1, 2, 4]


@given(histories, st.integers(1, 5))
def test_the_newest_are_the_last_distinct_titles(history: list[int], count: int) -> None:
    expected: list[str] = []
    for item in reversed(history):
        if TITLES[item] and TITLES[item] not in expected:
            expected.append(TITLES[item])
    assert chosen(NewestTitles(TITLES), history, 1, count) == expected[:count][::-1]


def likeness(titles: list[str], left: int, right: int) -> float:
    return float(RelatedTitles(titles).likeness(np.array([left]), right)[0])


def test_rare_words_weigh_more() -> None:
    titles = ["", "tea pot", "tea cup", "iron pot", "tea", "tea"]
    assert likeness(titles, 3, 1) > likeness(titles, 2, 1)


def test_likeness_is_worked_by_hand_where_all_words_weigh_the_same() -> None:
    titles = ["a b c", "b c d", "a d"]
    assert likeness(titles, 0, 0) == 1.0
    assert likeness(titles, 0, 1) == pytest.approx(2 / 4)
    assert likeness(titles, 0, 2) == pytest.approx(1 / 4)


titles_of_words = st.lists(
    st.lists(st.sampled_from(["tea", "Pot", "cup", "é", "茶", "-"]), max_size=4).map(" ".join),
    min_size=1,
    max_size=6,
)


@given(titles_of_words)
def test_likeness_equals_sums_over_sets_of_words(titles: list[str]) -> None:
    words = [set(re.findall(r"\w+", title.lower())) for title in titles]
    weight = {
        word: log(1 + len(titles) / sum(word in others for others in words))
        for line in words
        for word in line
    }
    related = RelatedTitles(titles)
    for right in range(len(titles)):
        expected = [
            sum(weight[w] for w in words[left] & words[right])
            / max(sum(weight[w] for w in words[left] | words[right]), 1e-9)
            for left in range(len(titles))
        ]
        found = related.likeness(np.arange(len(titles)), right)
        assert found.tolist() == pytest.approx(expected)


@given(histories, st.integers(1, 5))
def test_nothing_left_out_is_more_alike(history: list[int], count: int) -> None:
    related = RelatedTitles(TITLES)
    kept = [TITLES.index(title) for title in chosen(related, history, 3, count)]
    others = {item for item in history if TITLES[item]} - set(kept)
    assert len(kept) == min(count, len(kept) + len(others))
    for left_out in others:
        assert all(likeness(TITLES, item, 3) >= likeness(TITLES, left_out, 3) for item in kept)
