from types import SimpleNamespace
from typing import Any, cast

import pytest
from lightning.pytorch import Trainer
from torch.utils.data import Dataset

from xrec_lightning.data.datamodules.loading import as_it_is, loader_in_order, loader_shuffled


class Rows(Dataset[list[int]]):
    def __len__(self) -> int:
        return 7

    def __getitems__(self, rows: list[int]) -> list[int]:
        return rows


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_processes_share_the_rows_and_repeat_none(world_size: int) -> None:
    seen: list[int] = []
    for rank in range(world_size):
        trainer = cast("Trainer", SimpleNamespace(world_size=world_size, global_rank=rank))
        loader = loader_in_order(Rows(), 2, trainer)
        seen += [row for batch in loader for row in batch]
    assert sorted(seen) == list(range(7))


def test_without_trainer_all_rows_come_in_order() -> None:
    batches: list[Any] = list(loader_in_order(Rows(), 3, None))
    assert batches == [[0, 1, 2], [3, 4, 5], [6]]
    assert as_it_is(batches) is batches


@pytest.mark.filterwarnings("ignore:.*num_workers")
def test_a_training_is_shuffled_anew_each_epoch_alike_for_a_seed() -> None:
    def epochs(seed: int) -> list[list[int]]:
        loader = loader_shuffled(Rows(), 3, seed)
        return [[row for batch in loader for row in batch] for _ in range(2)]

    first, second = epochs(0)
    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second
    assert epochs(0) == [first, second]
    assert epochs(1) != [first, second]
