"""Loaders of datasets that make whole batches themselves."""

from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.overrides.distributed import UnrepeatedDistributedSampler
from torch.utils.data import DataLoader, Dataset


def as_it_is(batch: Any) -> Any:
    """Return ``batch``: the dataset already made it from whole arrays."""
    return batch


def loader_shuffled(dataset: Dataset[Any], batch_size: int, seed: int) -> DataLoader[Any]:
    """Return the loader of a training: rows in an order of its own each epoch."""
    generator = torch.Generator().manual_seed(seed)
    return DataLoader(
        dataset, batch_size=batch_size, shuffle=True, generator=generator, collate_fn=as_it_is
    )


def loader_in_order(
    dataset: Dataset[Any], batch_size: int | None, trainer: Trainer | None
) -> DataLoader[Any]:
    """Return the loader of an evaluation: each row once, over all processes.

    Lightning's own sampler would repeat rows to give every process as many.
    """
    world_size, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
    sampler = UnrepeatedDistributedSampler(dataset, world_size, rank, shuffle=False)
    return DataLoader(dataset, batch_size=batch_size, sampler=sampler, collate_fn=as_it_is)
