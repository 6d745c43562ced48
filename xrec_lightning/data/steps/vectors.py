"""Vectors of other modalities, such as images, in the order of the item index."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from xrec_lightning import schema
from xrec_lightning.data.errors import InputError, suggest

_CHUNK = 1 << 16


class RowVectors(NamedTuple):
    """Vectors of the rows of the item files. R rows, D width."""

    rows: NDArray[np.integer]
    """Rows that have one, ascending, shape ``(P,)``."""
    vectors: NDArray[np.number]
    """Their vectors, shape ``(P, D)``; of a file, they are not in memory yet."""


def read_vectors_file(path: Path, num_rows: int) -> RowVectors:
    """Return the vectors of a `.npy` file, one row a row of the item files.

    Args:
        path: The file.
        num_rows: Rows of the item files.

    Raises:
        InputError: If it is no matrix of numbers with so many rows.
        FileNotFoundError: If there is no such file.
    """
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(
            f"{path}: no array of numbers in the format of numpy ({error}); write it with "
            "`numpy.save`"
        ) from error
    if vectors.ndim != 2 or vectors.shape[1] == 0 or vectors.dtype.kind not in "fiu":
        raise InputError(
            f"{path}: an array of shape {vectors.shape} and type {vectors.dtype}; expected "
            "numbers of shape (rows of the item files, width)"
        )
    if len(vectors) != num_rows:
        raise InputError(
            f"{path}: {len(vectors)} rows, but the item files have {num_rows}; row i of the array "
            "belongs to row i of the item files, headers not counted"
        )
    return RowVectors(np.arange(num_rows), vectors)


def column_vectors(rows: pl.DataFrame, column: str, where: str) -> RowVectors:
    """Return the vectors in a column of the item files; empty cells have none.

    Args:
        rows: Rows of the item files.
        column: A column of lists, or of strings such as `0.1 0.2` or `[0.1, 0.2]`.
        where: File or key of the column, for messages.

    Raises:
        InputError: If the column does not exist, is of another type, holds what is no number, or
            its vectors differ in width.
    """
    if column not in rows.columns:
        raise InputError(f"{where}: unknown column `{column}`; {suggest(column, rows.columns)}")
    lists = _as_lists(rows[column], where)
    at = np.flatnonzero((lists.list.len() > 0).fill_null(value=False).to_numpy())
    lists = lists.gather(at)
    widths = lists.list.len()
    if not len(lists):
        raise InputError(f"{where}: no row of `{column}` has a vector")
    if widths.n_unique() > 1:
        odd = int(np.argmax((widths != widths[0]).to_numpy()))
        raise InputError(
            f"{where}: the vector of `{column}` in row {at[odd]} is {widths[odd]} wide, that in "
            f"row {at[0]} is {widths[0]} wide; all vectors need the same width"
        )
    values = lists.explode()
    if values.null_count():
        bad = int(at[np.argmax(values.is_null().to_numpy()) // widths[0]])
        raise InputError(
            f"{where}: `{column}` in row {bad} holds what is no number: {rows[column][bad]!r}"
        )
    return RowVectors(at, values.to_numpy().reshape(len(at), widths[0]))


def align_vectors(
    found: RowVectors, item_ids: pl.Series, items: pl.DataFrame, where: str
) -> NDArray[np.float32]:
    """Return the vector of each item, zeros for padding and for items without one.

    The first vector of an id counts.

    Args:
        found: Vectors of the rows of the item files.
        item_ids: The id in each row of the item files, canonical where ids are linked.
        items: All items, with item_id and item_index.
        where: File or key of the vectors, for messages.

    Returns:
        Float32, shape ``(items + 1, D)``, the row of an item its index.

    Raises:
        InputError: If a vector that is used holds a value that is not finite.
    """
    rows = pl.DataFrame({schema.ITEM_ID: item_ids.gather(found.rows)}).with_row_index("at")
    first = rows.unique(schema.ITEM_ID, keep="first").drop_nulls()
    used = first.join(items, on=schema.ITEM_ID).sort("at")
    aligned = np.zeros((len(items) + 1, found.vectors.shape[1]), np.float32)
    for part in used.select("at", schema.ITEM_INDEX).iter_slices(_CHUNK):
        at = part["at"].to_numpy()
        with np.errstate(over="ignore"):
            vectors = found.vectors[at].astype(np.float32)
        is_bad = ~np.isfinite(vectors).all(axis=1)
        if is_bad.any():
            row = found.rows[at[is_bad.argmax()]]
            raise InputError(
                f"{where}: the vector in row {row} (item `{item_ids[int(row)]}`) holds what is no "
                "finite number; leave the vector out or correct it"
            )
        aligned[part[schema.ITEM_INDEX].to_numpy()] = vectors
    return aligned


def _as_lists(column: pl.Series, where: str) -> pl.Series:
    if column.dtype == pl.String:
        words = column.str.strip_chars("[]() \t").str.replace_all(r"[,;\s]+", " ")
        words = words.set(words == "", None).str.split(" ")
        return words.list.eval(pl.element().cast(pl.Float32, strict=False))
    if isinstance(column.dtype, pl.List | pl.Array) and column.dtype.inner.is_numeric():
        return column.cast(pl.List(pl.Float32))
    raise InputError(
        f"{where}: `{column.name}` is of type {column.dtype}; expected lists of numbers, or "
        "strings such as `0.1 0.2`"
    )
