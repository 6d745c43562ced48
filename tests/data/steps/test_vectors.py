from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.steps.vectors import (
    RowVectors,
    align_vectors,
    column_vectors,
    read_vectors_file,
)

ITEMS = pl.DataFrame({"item_index": [1, 2, 3], "item_id": ["a", "b", "c"]})


def saved(folder: Path, array: object) -> Path:
    path = folder / "image.npy"
    np.save(path, np.asarray(array))
    return path


def test_rows_of_a_file_go_to_their_items(tmp_path: Path) -> None:
    path = saved(tmp_path, [[1, 2], [3, 4], [5, 6], [7, 8], [9, 9]])
    ids = pl.Series(["c", "unknown", "a", "c", None])
    aligned = align_vectors(read_vectors_file(path, 5), ids, ITEMS, "image")
    assert aligned.dtype == np.float32
    assert aligned.tolist() == [[0, 0], [5, 6], [0, 0], [1, 2]]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([[1.5, 2], None, [], [3, 4]], dtype=pl.List(pl.Float64)),
        pl.Series(["1.5 2", None, " ", "3 4"]),
        pl.Series(["[1.5, 2.0]", "[]", "", "(3;4)"]),
    ],
)
def test_cells_of_a_column_become_rows_and_empty_ones_none(column: pl.Series) -> None:
    found = column_vectors(pl.DataFrame({"image": column}), "image", "items")
    assert found.rows.tolist() == [0, 3]
    assert found.vectors.tolist() == [[1.5, 2], [3, 4]]
    aligned = align_vectors(found, pl.Series(["b", "a", "a", "a"]), ITEMS, "image")
    assert aligned.tolist() == [[0, 0], [3, 4], [1.5, 2], [0, 0]]


def test_fixed_arrays_are_read_too() -> None:
    column = pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int64, 2))
    found = column_vectors(pl.DataFrame({"image": column}), "image", "items")
    assert found.vectors.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ([1.0, 2.0], r"image.npy: an array of shape \(2,\)"),
        ([[], []], r"image.npy: an array of shape \(2, 0\)"),
        ([["a"], ["b"]], "type <U1; expected numbers"),
        ([[1.0]], "image.npy: 1 rows, but the item files have 2"),
        (np.array([[None], [None]], object), "no array of numbers in the format of numpy"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path: Path, array: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_vectors_file(saved(tmp_path, array), 2)


@pytest.mark.parametrize("content", [b"", b"not an array"])
def test_files_that_are_no_arrays_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no array of numbers"):
        read_vectors_file(path, 2)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["1 2", "", "1"], "items: the vector of `image` in row 2 is 1 wide, that in row 0 is 2"),
        (["1 2", "1 x"], "`image` in row 1 holds what is no number: '1 x'"),
        ([[1.0, 2.0], [None, 1.0]], "`image` in row 1 holds what is no number"),
        (["", None], "no row of `image` has a vector"),
        ([1, 2], "`image` is of type Int64; expected lists of numbers"),
        ([["a"], ["b"]], r"`image` is of type List\(String\)"),
    ],
)
def test_columns_that_hold_no_vectors_are_refused(column: list[object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        column_vectors(pl.DataFrame({"image": column}), "image", "items")


def test_unknown_columns_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="unknown column `imge`; did you mean `image`"):
        column_vectors(pl.DataFrame({"image": ["1"]}), "imge", "items.vectors")


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_are_refused_where_they_are_used(bad: float) -> None:
    found = RowVectors(np.array([0, 2]), np.array([[1.0, 2.0], [0.0, bad]]))
    with pytest.raises(InputError, match=r"image: the vector in row 2 \(item `a`\)"):
        align_vectors(found, pl.Series(["b", "c", "a"]), ITEMS, "image")
    unused = align_vectors(found, pl.Series(["b", "c", "gone"]), ITEMS, "image")
    assert unused.tolist() == [[0, 0], [0, 0], [1, 2], [0, 0]]
