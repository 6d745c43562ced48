"""MovieLens `.dat` files: fields between `::`, no header."""

import logging

import polars as pl

from xrec_lightning.data.config.tables import Encoding
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.encodings import as_utf8, is_utf8
from xrec_lightning.data.raw.kinds import SourceFile

logger = logging.getLogger(__name__)

_SEPARATOR = "::"
_NO_SEPARATOR = "\x1f"
"""A byte that no text has, so that polars takes a line as one field."""
_GENRES = "genres"
_COLUMNS = {
    "ratings": ("user_id", "item_id", "rating", "timestamp"),
    "movies": ("item_id", "title", _GENRES),
    "users": ("user_id", "gender", "age", "occupation", "zip"),
}
"""Columns of the files that MovieLens has, by their names."""


def scan_movielens(file: SourceFile, encoding: Encoding) -> pl.LazyFrame:
    """Return the rows of a `.dat` file as strings, genres as lists.

    The columns of `ratings.dat`, `movies.dat` and `users.dat` have names of ours, those of other
    files are `column_1` and on. A line with another number of fields than the first has nulls.

    Args:
        file: The file.
        encoding: Its encoding; with `utf8` a file that is not in UTF-8 is taken as latin1, which
            the older sets are in.

    Raises:
        InputError: If the first line has no `::`, or a file of MovieLens other columns.
    """
    is_older = encoding == "utf8" and not is_utf8(file)
    if is_older:
        logger.info("%s is not in UTF-8 and is read as latin1, as MovieLens has it", file.name)
    copy = as_utf8(file, "latin1" if is_older else encoding, keep_mark=False)
    lines = pl.scan_csv(
        copy.path,
        has_header=False,
        new_columns=["line"],
        separator=_NO_SEPARATOR,
        quote_char=None,
        infer_schema=False,
        truncate_ragged_lines=True,
        glob=False,
    )
    first = lines.head(1).collect().item()
    names = _column_names(file, first or "")
    fields = pl.col("line").str.split_exact(_SEPARATOR, len(names)).struct
    # One more field than there are names tells lines that are too long.
    surplus = fields.field(f"field_{len(names)}")
    last = fields.field(f"field_{len(names) - 1}")
    fits = surplus.is_null() & last.is_not_null()
    columns = [
        pl.when(fits).then(fields.field(f"field_{number}")).alias(name)
        for number, name in enumerate(names)
    ]
    rows = lines.select(columns)
    return rows.with_columns(pl.col(_GENRES).str.split("|")) if _GENRES in names else rows


def _column_names(file: SourceFile, first: str) -> list[str]:
    count = first.count(_SEPARATOR) + 1
    if count == 1:
        raise InputError(
            f"{file.name}: line 1 has no `::` (value: {first!r}); a table with a header and tabs "
            "is named .tsv"
        )
    named = _COLUMNS.get(file.path.name.partition(".")[0])
    if named is None:
        return [f"column_{number}" for number in range(1, count + 1)]
    if len(named) != count:
        raise InputError(
            f"{file.name}: line 1 has {count} fields, {', '.join(named)} are {len(named)}; give "
            "the file another name, its columns are then column_1 and on"
        )
    return list(named)
