"""The sequence loader, alone in one process, against what a SASRec step consumes."""

import platform
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.data.behavior.augment import (
    AugmentationConfig,
    CropConfig,
    InterleaveConfig,
    MaskItemsConfig,
    ReorderConfig,
)
from xrec_lightning.data.behavior.samplers import WindowSampler
from xrec_lightning.data.behavior.sequences import Histories, TrainingWindows, Windows
from xrec_lightning.models.channels.sequence import SequenceChannelConfig
from xrec_lightning.models.sequence.sasrec import SASRecConfig
from xrec_lightning.modules.fusion import FusionRecommender

NUM_USERS = 20_000
NUM_ITEMS = 10_000
BATCH_SIZE = 256
LENGTH = 50
WIDTH = 64
REPEATS = 5
STEPS = 5
AUGMENTATIONS = (CropConfig(), MaskItemsConfig(), ReorderConfig(), InterleaveConfig())


def make_histories() -> Histories:
    """Return random histories of 51 to 100 interactions: every window is full."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(LENGTH + 1, 100, NUM_USERS)
    offsets = np.concatenate([[0], lengths.cumsum()])
    total = int(offsets[-1])
    # Two interactions a time on average; sorted within each user.
    ticks = generator.integers(0, 2, total).cumsum()
    return Histories(
        offsets=offsets,
        item_ids=generator.integers(1, NUM_ITEMS + 1, total).astype(np.int32),
        domain_ids=generator.integers(1, 3, total).astype(np.int32),
        times=ticks,
        train_ends=offsets[1:],
    )


def make_catalog() -> Catalog:
    """Return a catalog in which every item is a candidate of both domains."""
    item_ids = torch.arange(1, NUM_ITEMS + 1)
    return Catalog(
        fingerprint="benchmark",
        domains=("left", "right"),
        slices=(),
        num_users=NUM_USERS,
        num_items=NUM_ITEMS,
        train_counts=(torch.arange(NUM_ITEMS + 1) > 0).long(),
        candidates=(item_ids, item_ids),
    )


def make_loader(
    histories: Histories, catalog: Catalog, configs: Sequence[AugmentationConfig] = ()
) -> DataLoader[SequenceBatch]:
    """Return the loader that the datamodule makes, without worker processes."""
    augmentations = [config.build(catalog) for config in configs]
    return DataLoader(
        TrainingWindows(histories, augmentations, length=LENGTH + 1),
        batch_size=None,
        sampler=WindowSampler(histories, LENGTH, BATCH_SIZE),
        collate_fn=lambda batch: batch,
    )


def one_row_at_a_time(data: Histories, windows: Windows) -> torch.Tensor:
    """Return the padded items of a batch the way a row-wise dataset and collate make them."""
    rows = []
    for start, stop in zip(windows.starts, windows.stops, strict=True):
        items, states = [], []
        for position in range(start, stop):
            items.append(int(data.item_ids[position]))
            first = position
            while first > start and data.times[first - 1] == data.times[position]:
                first -= 1
            states.append(first - 1 - int(start))
        rows.append(torch.tensor([items, states]))
    length = max(row.size(1) for row in rows)
    return torch.stack([torch.nn.functional.pad(row, (0, length - row.size(1))) for row in rows])


def make_step(catalog: Catalog, batch: SequenceBatch) -> Callable[[], object]:
    """Return one training step of the sequence-only recommender on ``batch``."""
    torch.manual_seed(0)
    encoder = SASRecConfig(embed_dim=WIDTH, max_seq_len=LENGTH)
    module = FusionRecommender(catalog, [SequenceChannelConfig(encoder=encoder)])
    optimizer = torch.optim.AdamW(module.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        module.losses(batch).mean().backward()
        optimizer.step()

    return step


def fastest(function: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the least seconds of several calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print windows per second of each, ratios, sizes and versions."""
    data, catalog = make_histories(), make_catalog()
    loader, augmenting = make_loader(data, catalog), make_loader(data, catalog, AUGMENTATIONS)
    batches = list(loader.sampler)
    count = sum(len(batch.users) for batch in batches)
    step = BATCH_SIZE / fastest(make_step(catalog, next(iter(loader))), STEPS)
    rates = {
        "loader": count / fastest(lambda: list(map(len, loader))),
        "loader, four augmentations": count / fastest(lambda: list(map(len, augmenting)), 2),
        "row by row": BATCH_SIZE / fastest(lambda: one_row_at_a_time(data, batches[0])),
        "SASRec step": step,
    }
    lines = [
        f"{name:<28}{rate:>12,.0f} windows/s {rate / step:>8.1f} x the step"
        for name, rate in rates.items()
    ]
    lines.append(
        f"{count:,} windows of {LENGTH} + 1 interactions, batches of {BATCH_SIZE}, width {WIDTH}, "
        f"{NUM_ITEMS:,} items; {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"numpy {np.__version__}, Python {platform.python_version()}"
    )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
