"""Whose profiles there are."""

from pathlib import Path

import polars as pl

from xrec_lightning.data.raw.kinds import SourceFile
from xrec_lightning.data.report.profiles import (
    find_contacts,
    find_lost_rows,
    find_profiles,
    find_users_without_profile,
    profile_frame,
    user_frame,
)
from xrec_lightning.data.report.table import KEY, KeyedTable

FILES = [SourceFile(Path(name), name) for name in ("a.csv", "b.csv")]


def table(users: list[str | None]) -> KeyedTable:
    keys = pl.Series(range(len(users)), dtype=pl.UInt64)
    return KeyedTable(pl.LazyFrame({"user_id": users, KEY: keys}), FILES, ["user_id"])


def test_both_sides_are_compared() -> None:
    users = user_frame(table(["u", None, "v", "u"])).collect()
    profiles = profile_frame(table(["w", "u", "u"])).collect()
    found = [*find_profiles(profiles, users), *find_users_without_profile(profiles, users)]
    assert [(each.finding.code, each.finding.count, each.key) for each in found] == [
        ("profiles_without_events", 1, 0),
        ("profile_rows_repeated", 1, 1),
        ("users_without_profile", 1, 2),
    ]


def test_equal_sides_have_no_findings() -> None:
    users, profiles = user_frame(table(["u"])).collect(), profile_frame(table(["u"])).collect()
    assert find_profiles(profiles, users) == []
    assert find_users_without_profile(profiles, users) == []


def test_lost_rows_are_counted_by_file() -> None:
    (found,) = find_lost_rows(FILES, [4, 3], [4, 1], "user_id")
    assert (found.file, found.count, found.share) == ("b.csv", 2, round(2 / 3, 6))


def test_contacts_of_all_files_are_one_finding() -> None:
    texts = [
        pl.LazyFrame({"about": ["tea", "pot"], "note": ["x", "y"]}),
        pl.LazyFrame({"about": ["tea", "jo@shop.org"]}),
        pl.LazyFrame({"about": ["amy@shop.org", "al@shop.org"]}),
    ]
    files = [*FILES, SourceFile(Path("c.csv"), "c.csv")]
    (found,) = find_contacts(texts, files, num_rows=6)
    assert (found.code, found.count, found.share) == ("email_in_text", 3, 0.5)
    assert (found.file, found.row, found.example) == ("b.csv", 1, "j***@***.org")
