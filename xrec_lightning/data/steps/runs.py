"""Runs: neighboring rows of a sorted frame that agree in some columns."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Ints = NDArray[np.integer]


class Runs(NamedTuple):
    """Runs of N rows, R in number, from first to last."""

    starts: Ints
    """Position of the first row of each, shape ``(R,)``."""
    lengths: Ints
    """Number of rows of each, shape ``(R,)``."""

    @property
    def ends(self) -> Ints:
        """Position behind the last row of each, shape ``(R,)``."""
        return self.starts + self.lengths

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the value of its run for each row, shape ``(N,)``, from one a run."""
        return np.repeat(values, self.lengths)


def begins_run(*columns: NDArray[Any]) -> Bools:
    """Return whether a row differs from the one before in any column; the first row does.

    Example:
        >>> begins_run(np.array([1, 1, 2, 2]), np.array([5, 5, 5, 6])).tolist()
        [True, False, True, True]
    """
    begins = np.ones(len(columns[0]), dtype=bool)
    np.not_equal(columns[0][1:], columns[0][:-1], out=begins[1:])
    for column in columns[1:]:
        begins[1:] |= column[1:] != column[:-1]
    return begins


def find_runs(begins: Bools) -> Runs:
    """Return the runs that start where ``begins`` is true; its first value must be."""
    starts = np.flatnonzero(begins)
    return Runs(starts, np.diff(starts, append=len(begins)))


def has_equal_neighbor(*columns: NDArray[Any]) -> Bools:
    """Return whether a row agrees in all columns with the one before or after it.

    Example:
        >>> has_equal_neighbor(np.array([1, 1, 2])).tolist()
        [True, True, False]
    """
    continues = ~begins_run(*columns)
    has_equal = continues.copy()
    has_equal[:-1] |= continues[1:]
    return has_equal
