"""Cutting training windows: whole batches from flat arrays against one row at a time."""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from xrec_lightning.data.behavior.sequences import Histories, TrainingWindows, Window, WindowSampler

NUM_USERS = 4000
BATCH_SIZE = 128
LENGTH = 50
REPEATS = 5


def histories() -> Histories:
    """Return random histories of 5 to 100 interactions, two interactions a time on average."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(5, 100, NUM_USERS)
    offsets = np.concatenate([[0], lengths.cumsum()])
    total = int(offsets[-1])
    times = np.concatenate([np.sort(generator.integers(0, n // 2 + 1, n)) for n in lengths])
    return Histories(
        offsets=offsets,
        item_ids=generator.integers(1, 10_000, total).astype(np.int32),
        domain_ids=generator.integers(1, 3, total).astype(np.int32),
        times=times,
        train_ends=offsets[1:],
    )


def one_row_at_a_time(data: Histories, windows: list[Window]) -> torch.Tensor:
    """Return the padded items of a batch the way a row-wise dataset and collate make them."""
    rows = []
    for window in windows:
        items, states = [], []
        for position in range(window.start, window.stop):
            items.append(int(data.item_ids[position]))
            first = position
            while first > window.start and data.times[first - 1] == data.times[position]:
                first -= 1
            states.append(first - 1 - window.start)
        rows.append(torch.tensor([items, states]))
    length = max(row.size(1) for row in rows)
    return torch.stack([torch.nn.functional.pad(row, (0, length - row.size(1))) for row in rows])


def fastest(function: Callable[[], object]) -> float:
    """Return the least seconds of several calls."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print windows per second of both ways and their ratio."""
    data = histories()
    dataset = TrainingWindows(data)
    windows = list(WindowSampler(data, LENGTH, BATCH_SIZE))
    batches = [windows[i : i + BATCH_SIZE] for i in range(0, len(windows), BATCH_SIZE)]
    ours = fastest(lambda: [dataset.__getitems__(batch) for batch in batches])
    theirs = fastest(lambda: [one_row_at_a_time(data, batch) for batch in batches])
    sys.stdout.write(
        f"windows: {len(windows) / ours:,.0f}/s in whole batches, "
        f"{len(windows) / theirs:,.0f}/s row by row, ratio {theirs / ours:.1f}\n"
    )


if __name__ == "__main__":
    main()
