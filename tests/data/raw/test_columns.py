from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import polars as pl
import pytest

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.columns import as_number, as_text, match_columns, require_column
from xrec_lightning.data.raw.formats import scan_log
from xrec_lightning.data.raw.kinds import SourceFile

Write = Callable[[str, str | bytes], SourceFile]

UUID_TEXT = "123e4567-e89b-12d3-a456-426614174000"
IDS: dict[str, tuple[pl.Series, list[str | None]]] = {
    "ints": (pl.Series([7, -3, None]), ["7", "-3", None]),
    "large ints": (pl.Series([2**64 - 1], dtype=pl.UInt64), ["18446744073709551615"]),
    "whole floats": (pl.Series([7.0, -3.0, float("nan"), None]), ["7", "-3", None, None]),
    "other floats": (pl.Series([1.5, 1e20]), ["1.5", "1e+20"]),
    "decimals": (pl.Series([Decimal("7.00"), Decimal("1.50")]), ["7", "1.50"]),
    "strings": (pl.Series(["007", "", " x", None, "7.0"]), ["007", None, " x", None, "7.0"]),
    "uuids": (pl.Series([UUID_TEXT]), [UUID_TEXT]),
    "bytes": (pl.Series([UUID(UUID_TEXT).bytes, b""]), [UUID_TEXT.replace("-", ""), None]),
    "bools": (pl.Series([True, False, None]), ["true", "false", None]),
    "categories": (pl.Series(["a", "b"], dtype=pl.Categorical), ["a", "b"]),
    "dates": (pl.Series([date(2024, 1, 2)]), ["2024-01-02"]),
    "nothing": (pl.Series([None, None]), [None, None]),
}


@pytest.mark.parametrize(("ids", "expected"), IDS.values(), ids=IDS)
def test_ids_of_any_type_become_text(ids: pl.Series, expected: list[str | None]) -> None:
    frame = ids.alias("id").to_frame()
    assert frame.select(as_text(pl.col("id"), ids.dtype)).to_series().to_list() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1.5", "x", "", "NaN", None], [1.5, None, None, None, None]),
        ([1.5, float("nan"), None], [1.5, None, None]),
        ([3], [3.0]),
    ],
)
def test_numbers_that_cannot_be_read_are_null(values: list[Any], expected: list[Any]) -> None:
    frame = pl.DataFrame({"rating": values})
    numbers = frame.select(as_number(pl.col("rating"), pl.Float32()))
    assert numbers.to_series().to_list() == expected


def test_columns_are_matched_by_mapping_then_by_name(write: Write) -> None:
    file = write("a.csv", "uid,item_id,x\n1,2,3\n")
    known = ["user_id", "item_id", "rating"]
    matched = match_columns(file, scan_log(file), {"user_id": "uid"}, ["user_id"], known)
    assert matched == {"user_id": "uid", "item_id": "item_id"}


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({}, r"no column `user_id`; did.*\? The file has: UID, item_id, L; .*`columns.user_id`"),
        ({"user_id": "uid"}, r"`uid` \(mapped to `user_id`\); did you mean `UID`\?"),
        ({"user_id": "UID", "rating": "stars"}, r"no column `stars` \(mapped to `rating`\)"),
        ({"user_id": "zz"}, "to `user_id`\\); The file has: UID"),
        ({"user_id": "L"}, r"column `L` is of type List\(Int64\).*one value a row"),
    ],
)
def test_missing_and_nested_columns_are_refused(mapping: dict[str, str], message: str) -> None:
    rows = pl.LazyFrame({"UID": [1], "item_id": [2], "L": [[1]]})
    file = SourceFile(None, "log.parquet")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=rf"log\.parquet: .*{message}"):
        match_columns(file, rows, mapping, ["user_id"], ["user_id", "rating"])


@pytest.mark.parametrize(
    ("name", "text", "separator"),
    [("a.csv", "user_id;item_id\n1;2\n", "';'"), ("a.tsv", "user_id,item_id\n1,2\n", "','")],
)
def test_other_separators_are_told(write: Write, name: str, text: str, separator: str) -> None:
    file = write(name, text)
    with pytest.raises(InputError, match=f"no column `user_id`.*separated by {separator}"):
        match_columns(file, scan_log(file), {}, ["user_id"], ["user_id"])


def test_two_columns_of_one_name_are_refused_where_they_are_used(write: Write) -> None:
    file = write("a.csv", "user_id,item_id,x,item_id\n1,2,3,4\n")
    names = scan_log(file).collect_schema().names()
    require_column("x", file, names)
    with pytest.raises(InputError, match=r"a\.csv: two columns have the name `item_id`"):
        require_column("item_id", file, names)
