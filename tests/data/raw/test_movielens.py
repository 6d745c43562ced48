from collections.abc import Callable

import pytest

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.kinds import SourceFile
from xrec_lightning.data.raw.movielens import scan_movielens

Write = Callable[[str, str | bytes], SourceFile]


@pytest.mark.parametrize("name", ["ratings.dat", "ratings.dat.gz"])
def test_ratings_have_our_names(write: Write, name: str) -> None:
    rows = scan_movielens(write(name, "1::1193::5::978300760\n1::661::3.5::978302109\n"), "utf8")
    assert rows.collect().to_dicts() == [
        {"user_id": "1", "item_id": "1193", "rating": "5", "timestamp": "978300760"},
        {"user_id": "1", "item_id": "661", "rating": "3.5", "timestamp": "978302109"},
    ]


@pytest.mark.parametrize("coding", ["latin1", "utf-8", "utf-8-sig"])
def test_movies_are_read_in_the_encoding_they_have(write: Write, coding: str) -> None:
    text = '73::Misérables, Les: "Part 1" (1995)::Drama|Musical\n9::Sudden (1995)::Action\n'
    rows = scan_movielens(write("movies.dat", text.encode(coding)), "utf8").collect()
    assert rows.to_dicts() == [
        {
            "item_id": "73",
            "title": 'Misérables, Les: "Part 1" (1995)',
            "genres": ["Drama", "Musical"],
        },
        {"item_id": "9", "title": "Sudden (1995)", "genres": ["Action"]},
    ]


def test_a_given_encoding_is_used(write: Write) -> None:
    file = write("movies.dat", "1::緑茶::Drama\n".encode("shift_jis"))
    assert scan_movielens(file, "shift_jis").collect()["title"].to_list() == ["緑茶"]


def test_users_have_our_names(write: Write) -> None:
    rows = scan_movielens(write("users.dat", "1::F::1::10::01234\n"), "utf8").collect()
    assert rows.to_dicts() == [
        {"user_id": "1", "gender": "F", "age": "1", "occupation": "10", "zip": "01234"}
    ]


def test_columns_of_other_files_are_numbered(write: Write) -> None:
    rows = scan_movielens(write("tags.dat", "1::2::funny::3\n"), "utf8").collect()
    assert rows.to_dicts() == [
        {"column_1": "1", "column_2": "2", "column_3": "funny", "column_4": "3"}
    ]


def test_lines_of_another_width_are_null(write: Write) -> None:
    file = write("x.dat", "1::2\n1\n\n1::2::3\n3::\n")
    assert scan_movielens(file, "utf8").collect().rows() == [
        ("1", "2"),
        (None, None),
        (None, None),
        (None, None),
        ("3", ""),
    ]


def test_other_separators_are_refused(write: Write) -> None:
    with pytest.raises(InputError, match=r"x\.dat: line 1 has no `::` \(value: 'a\\tb'\).*\.tsv"):
        scan_movielens(write("x.dat", "a\tb\n"), "utf8")


def test_a_named_file_of_another_width_is_refused(write: Write) -> None:
    with pytest.raises(InputError, match=r"ratings\.dat: line 1 has 3 fields, .* are 4"):
        scan_movielens(write("ratings.dat", "1::2::3\n"), "utf8")
