"""How often items stand together in training histories, as sparse matrices.

Shapes: N items, M events; index 0 is padding, and its row and column are empty.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, diags_array

from xrec_lightning.histories import TrainingHistories

Ints = NDArray[np.integer]


def transition_counts(
    histories: TrainingHistories,
    num_items: int,
    window: int = 1,
    step_decay: float = 1.0,
    *,
    is_ordered: bool = False,
) -> csr_array:
    """Return how often the item of a column followed that of a row, strictly later.

    An event follows the last event of its user that is strictly earlier, and with a ``window``
    also those before that one. Events of equal time have no order. An item does not follow itself.

    Args:
        histories: The training events.
        num_items: Number of items.
        window: Earlier events that each event follows.
        step_decay: What one more step back counts, relative to the step before it.
        is_ordered: Whether events of equal time have an order too.

    Returns:
        Float64, shape ``(N + 1, N + 1)``.
    """
    items, users, times = _arrays(histories)
    places = np.arange(len(items))
    is_first = np.ones(len(items), dtype=bool)
    if not is_ordered:
        is_first[1:] = (users[1:] != users[:-1]) | (times[1:] != times[:-1])
    last_earlier = np.maximum.accumulate(np.where(is_first, places, 0)) - 1
    starts = histories.offsets.numpy()[users - 1]

    def pairs(step: int) -> tuple[Ints, Ints]:
        earlier = last_earlier - step
        later = np.flatnonzero(earlier >= starts)
        return items[earlier[later]], items[later]

    return _count((pairs(step) for step in range(window)), num_items, step_decay)


def together_counts(
    histories: TrainingHistories, num_items: int, window: int, step_decay: float = 1.0
) -> csr_array:
    """Return how often two items are at most ``window`` events of one user apart.

    Args:
        histories: The training events.
        num_items: Number of items.
        window: Distance in events.
        step_decay: What one more step between them counts, relative to one less.

    Returns:
        Symmetric, with an empty diagonal, float64, shape ``(N + 1, N + 1)``.
    """
    items, users, _ = _arrays(histories)

    def pairs(step: int) -> tuple[Ints, Ints]:
        distance = step + 1
        places = np.flatnonzero(users[distance:] == users[:-distance])
        return items[places], items[places + distance]

    longest = int(histories.offsets.diff().max()) if len(histories.offsets) > 1 else 0
    steps = range(min(window, max(0, longest - 1)))
    counts = _count((pairs(step) for step in steps), num_items, step_decay)
    return (counts + counts.T).tocsr()


def positive_pmi(counts: csr_array, shift: float = 1.0) -> csr_array:
    """Return ``max(0, log(n_ij n / (n_i n_j)) - log(shift))``, the shifted positive PMI.

    Its factors are what skip-gram with ``shift`` negatives factorizes (Levy and Goldberg, 2014,
    "Neural word embedding as implicit matrix factorization").
    """
    entries = counts.tocoo()
    rows, columns = _sums(counts)
    expected = rows[entries.row] * columns[entries.col]
    values = np.log(entries.data * entries.data.sum() / (expected * shift))
    is_kept = values > 0
    ends = (entries.row[is_kept], entries.col[is_kept])
    return coo_array((values[is_kept], ends), shape=counts.shape).tocsr()


def degree_normalized(counts: csr_array) -> csr_array:
    """Return ``n_ij / sqrt(n_i n_j)``: counts over the roots of the sums of row and column."""
    roots = []
    for sums in _sums(counts):
        root = np.zeros_like(sums)
        np.power(sums, -0.5, out=root, where=sums > 0)
        roots.append(diags_array(root))
    return (roots[0] @ counts @ roots[1]).tocsr()


def _arrays(histories: TrainingHistories) -> tuple[Ints, Ints, Ints]:
    return histories.item_ids.numpy(), histories.user_ids().numpy(), histories.times.numpy()


def _sums(counts: csr_array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.asarray(counts.sum(axis=1)), np.asarray(counts.sum(axis=0))


def _count(pairs: Iterable[tuple[Ints, Ints]], num_items: int, step_decay: float) -> csr_array:
    """Return the sum of the pairs of each step, a step at a time to spare memory."""
    shape = (num_items + 1, num_items + 1)
    total = csr_array(shape, dtype=np.float64)
    for step, (left, right) in enumerate(pairs):
        is_pair = left != right
        ends = (left[is_pair], right[is_pair])
        values = np.full(len(ends[0]), step_decay**step)
        total = total + coo_array((values, ends), shape=shape).tocsr()
    return total
