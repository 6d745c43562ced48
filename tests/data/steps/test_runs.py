import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.data.steps.runs import begins_run, find_runs


@settings(deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1))
def test_a_run_is_the_longest_stretch_of_equal_rows(rows: list[tuple[int, int]]) -> None:
    left, right = np.array(rows).T
    runs = find_runs(begins_run(left, right))
    expected = []
    for place, row in enumerate(rows):
        if place == 0 or row != rows[place - 1]:
            expected.append([place, 0])
        expected[-1][1] += 1
    assert np.stack([runs.starts, runs.lengths], axis=1).tolist() == expected
    assert runs.ends.tolist() == [start + length for start, length in expected]
    numbers = runs.spread(np.arange(len(expected)))
    assert numbers.tolist() == [i for i, (_, length) in enumerate(expected) for _ in range(length)]


def test_no_rows_have_no_runs() -> None:
    runs = find_runs(begins_run(np.zeros(0)))
    assert len(runs.starts) == len(runs.lengths) == 0
