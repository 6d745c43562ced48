"""The text of an item or of a user, made of its columns."""

from collections.abc import Sequence

import polars as pl


def verbalize(columns: Sequence[str], dtypes: pl.Schema) -> pl.Expr:
    """Return the columns as one text, "title. description", null where none says anything.

    Args:
        columns: Columns in the order of the text: strings, numbers, or lists of them.
        dtypes: Types of the columns.
    """
    if not columns:
        return pl.lit(None, pl.String)
    sentences = pl.concat_str(
        [_field(name, dtypes[name]) for name in columns], separator=". ", ignore_nulls=True
    )
    # A field that ends its own sentence gets no second stop.
    text = sentences.str.replace_all(r"([.!?])\. ", "${1} ")
    return pl.when(text != "").then(text)


def _field(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.List):
        column = column.list.eval(pl.element().cast(pl.String)).list.join(", ", ignore_nulls=True)
    text = column.cast(pl.String, strict=False).str.replace_all(r"\s+", " ").str.strip_chars()
    return pl.when(text != "").then(text)
