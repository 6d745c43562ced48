"""Profiles: whose they are; and contacts of people in any text."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.findings import Finding, Spec, describe, share_of
from xrec_lightning.data.raw.contacts import scan_for_contacts
from xrec_lightning.data.raw.kinds import SourceFile
from xrec_lightning.data.report.table import KEY, KeyedTable, Located, first_key

_NO_PROFILE: Spec = (
    "info",
    "users_without_profile",
    "users of the log whom the profiles do not have",
    "nothing; or map the same ids in `users.columns`, if they should be there",
)
_UNUSED: Spec = (
    "info",
    "profiles_without_events",
    "profiles of users whom the log does not have; they are left out",
    "nothing; or map the same ids in `users.columns`",
)
_REPEATED: Spec = (
    "warning",
    "profile_rows_repeated",
    "users with several rows; the first filled value of each column counts",
    "keep one row a user",
)
_LOST: Spec = (
    "warning",
    "rows_without_id",
    "rows of the table that have no id and are left out",
    "fill the ids, or map another column in `columns`",
)


def profile_frame(table: KeyedTable) -> pl.LazyFrame:
    """Return one row a user of the profiles: `rows`, first key."""
    return table.rows.group_by(schema.USER_ID).agg(pl.len().alias("rows"), pl.col(KEY).min())


def user_frame(log: KeyedTable) -> pl.LazyFrame:
    """Return one row a user of the log, with the first key."""
    users = log.rows.filter(pl.col(schema.USER_ID).is_not_null())
    return users.group_by(schema.USER_ID).agg(pl.col(KEY).min())


def find_profiles(profiles: pl.DataFrame, users: pl.DataFrame) -> list[Located]:
    """Return the findings whose example is a row of the profiles."""
    parts = [
        (_UNUSED, profiles.join(users, on=schema.USER_ID, how="anti")),
        (_REPEATED, profiles.filter(pl.col("rows") > 1)),
    ]
    return [
        Located(describe(spec, len(rows), len(profiles), schema.USER_ID), first_key(rows[KEY]))
        for spec, rows in parts
        if len(rows)
    ]


def find_users_without_profile(profiles: pl.DataFrame, users: pl.DataFrame) -> list[Located]:
    """Return the finding, located in the log, of users without a profile."""
    rows = users.join(profiles, on=schema.USER_ID, how="anti")
    if not len(rows):
        return []
    finding = describe(_NO_PROFILE, len(rows), len(users), schema.USER_ID)
    return [Located(finding, first_key(rows[KEY]))]


def find_lost_rows(
    files: Sequence[SourceFile], raw_rows: Sequence[int], rows: Sequence[int], column: str
) -> list[Finding]:
    """Return a finding for each file that has more raw rows than rows with an id."""
    return [
        replace(describe(_LOST, raw - kept, raw, column), file=file.name)
        for file, raw, kept in zip(files, raw_rows, rows, strict=True)
        if raw > kept
    ]


def find_contacts(
    texts: Sequence[pl.LazyFrame], files: Sequence[SourceFile], num_rows: int
) -> list[Finding]:
    """Return the findings of `scan_for_contacts`, one of all files for each column and kind.

    Args:
        texts: The columns to look at, a frame a file.
        files: The files.
        num_rows: Rows of all of them.
    """
    merged: dict[tuple[str, str | None], Finding] = {}
    for rows, file in zip(texts, files, strict=True):
        for found in scan_for_contacts(rows, rows.collect_schema().names()):
            key = (found.code, found.column)
            first = merged.setdefault(key, replace(found, file=file.name, count=0))
            count = first.count + found.count
            merged[key] = replace(first, count=count, share=share_of(count, num_rows))
    return list(merged.values())
