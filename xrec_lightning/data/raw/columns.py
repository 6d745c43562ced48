"""Our columns -> those that a file has, and its ids as text."""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches

import polars as pl

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.kinds import SourceFile


def match_columns(
    file: SourceFile,
    rows: pl.LazyFrame,
    mapping: Mapping[str, str],
    required: Collection[str],
    known: Sequence[str],
) -> dict[str, str]:
    """Return our column names with the file's, of those that it has.

    Args:
        file: The file.
        rows: Its rows, of which only the schema is looked at.
        mapping: Our column names to the file's.
        required: Ours that must exist; so must those of ``mapping``.
        known: All of ours.

    Raises:
        InputError: If a column is missing, exists twice, or holds more than one value a row.
    """
    dtypes = rows.collect_schema()
    theirs = {}
    for ours in known:
        name = mapping.get(ours, ours)
        if ours in mapping or ours in required:
            require_column(name, file, dtypes.names(), ours)
        if name in dtypes:
            _refuse_nested(name, file, dtypes[name])
            theirs[ours] = name
    return theirs


def require_column(name: str, file: SourceFile, names: Sequence[str], ours: str = "") -> None:
    """Raise where a file lacks a column or has two of that name.

    Args:
        name: The column.
        file: The file.
        names: The columns it has.
        ours: The column of ours that it is for.

    Raises:
        InputError: It names the nearest columns and what the file has.
    """
    if name not in names:
        role = f" (mapped to `{ours}`)" if ours not in ("", name) else ""
        folded = {each.lower(): each for each in names}
        nearest = get_close_matches(name.lower(), folded, n=2)
        remark = " or ".join(f"`{folded[each]}`" for each in nearest)
        raise InputError(
            f"{file.name}: no column `{name}`{role}; "
            f"{f'did you mean {remark}? ' if remark else ''}The file has: {', '.join(names)}"
            + (f"; name the right one in the YAML, under `columns.{ours}`" if ours else "")
            + _other_separator(names)
        )
    # polars gives the second of two equal names this one.
    if f"{name}_duplicated_0" in names:
        raise InputError(f"{file.name}: two columns have the name `{name}`; rename one")


def _other_separator(names: Sequence[str]) -> str:
    """Return a remark where a header looks as if its names were not separated."""
    for separator in (";", "\t", "|", ","):
        if len(names) == 1 and separator in names[0]:
            return (
                f". Its header seems to be separated by {separator!r}: .csv files need commas, "
                ".tsv files tabs"
            )
    return ""


def as_text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return ids as strings, null where empty or NaN.

    Whole floats, as pandas writes ids with gaps, lose their `.0`; bytes are written in hex;
    strings stay as they are, leading zeros and all.
    """
    if dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        column = (
            pl.when(whole == column)
            .then(whole.cast(pl.String))
            .otherwise(column.fill_nan(None).cast(pl.String))
        )
    elif dtype.is_decimal():
        column = column.cast(pl.String).str.replace(r"\.0*$", "")
    elif dtype == pl.Binary:
        column = column.bin.encode("hex")
    text = column.cast(pl.String, strict=False)
    return pl.when(text != "").then(text)


def as_number(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return numbers of the float type ``dtype``, null where unreadable or NaN."""
    return column.cast(dtype, strict=False).fill_nan(None)


def _refuse_nested(name: str, file: SourceFile, dtype: pl.DataType) -> None:
    if dtype.is_nested():
        raise InputError(
            f"{file.name}: column `{name}` is of type {dtype}; it must hold one value a row: write "
            "one row a value"
        )
