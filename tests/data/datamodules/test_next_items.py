from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from xrec_lightning.batches import ItemTextBatch, WeightedTargets
from xrec_lightning.data.datamodules.next_items import NextItemDataModule
from xrec_lightning.data.errors import InputError


def next_items(dataset: Path, model: str, rank: int | None = None, **options: Any) -> Any:
    """Return the datamodule, as one of two processes if ``rank`` is given."""
    settings = {"batch_size": 8, "max_tokens": 16, "eval_batch_tokens": 40, **options}
    datamodule = NextItemDataModule(dataset, model, **settings)
    if rank is not None:
        trainer: Any = SimpleNamespace(world_size=2, global_rank=rank)
        datamodule.trainer = trainer
    datamodule.setup("fit")
    return datamodule


def test_an_epoch_is_over_all_events_in_batches_of_one_domain(
    tiny_dataset: Path, tiny_language: str
) -> None:
    datamodule = next_items(tiny_dataset, tiny_language)
    batches = list(datamodule.train_dataloader())
    assert len(batches) == len(datamodule.train_set) // 8
    domains = {tuple(batch.target_domain_ids.unique().tolist()) for batch in batches}
    assert domains == {(1,), (2,)}
    mixed = next_items(tiny_dataset, tiny_language, one_domain_batches=False)
    assert any(len(each.target_domain_ids.unique()) == 2 for each in mixed.train_dataloader())
    short = next_items(tiny_dataset, tiny_language, events_per_epoch=20)
    assert len(short.train_dataloader()) == 2


def test_epochs_differ_and_runs_do_not(tiny_dataset: Path, tiny_language: str) -> None:
    def users(epoch: int, seed: int = 0) -> list[int]:
        loader = next_items(tiny_dataset, tiny_language, seed=seed).train_dataloader()
        loader.sampler.set_epoch(epoch)
        return torch.cat([batch.user_ids for batch in loader]).tolist()

    assert users(0) == users(0)
    assert users(0) != users(1)
    assert users(0) != users(0, seed=1)


def test_a_temperature_evens_domains_out(tiny_dataset: Path, tiny_language: str) -> None:
    datamodule = next_items(tiny_dataset, tiny_language, domain_temperature=2.0)
    train = datamodule.train_set
    for domain in (1, 2):
        is_here = train.events.domain_ids == domain
        assert train.weights[is_here].sum() == pytest.approx(is_here.sum() ** 0.5)


def test_two_processes_share_the_batches_of_one(tiny_dataset: Path, tiny_language: str) -> None:
    def events(rank: int | None) -> list[set[tuple[int, int]]]:
        loader = next_items(tiny_dataset, tiny_language, rank).train_dataloader()
        return [
            set(zip(batch.user_ids.tolist(), batch.target_ids.tolist(), strict=True))
            for batch in loader
        ]

    first, second = events(0), events(1)
    assert all(len(batch) == 4 for batch in first + second)
    assert [left | right for left, right in zip(first, second, strict=True)] == events(None)


@pytest.mark.parametrize("split", ["val", "test"])
def test_two_processes_evaluate_each_text_and_target_once(
    split: str, tiny_dataset: Path, tiny_language: str
) -> None:
    text_ids: list[int] = []
    users: list[int] = []
    for rank in range(2):
        datamodule = next_items(tiny_dataset, tiny_language, rank, eval_batch_size=5)
        batches = list(getattr(datamodule, f"{split}_dataloader")())
        assert isinstance(batches[0], ItemTextBatch)
        for batch in batches:
            if isinstance(batch, ItemTextBatch):
                text_ids += batch.text_ids.tolist()
            else:
                assert isinstance(batch, WeightedTargets)
                users += batch.sequences.user_ids.tolist()
    assert sorted(text_ids) == datamodule.source.texts.item_ids.tolist()
    assert sorted(users) == sorted(datamodule.prepared.targets(split)["user_index"])


def test_validation_may_be_sampled_but_a_test_is_complete(
    tiny_dataset: Path, tiny_language: str
) -> None:
    datamodule = next_items(tiny_dataset, tiny_language, eval_targets=3, eval_candidates=2)
    val, test = list(datamodule.val_dataloader()), list(datamodule.test_dataloader())
    assert len(val[-1].sequences.target_ids) == 3
    assert val[0].sample_size == 2
    targets = [batch for batch in test if isinstance(batch, WeightedTargets)]
    assert sum(len(each.weights) for each in targets) == datamodule.prepared.targets("test").height
    assert test[0].sample_size == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"history_items": 0}, "history_items is 0: set it to 1 or more"),
        ({"decay": 0.0}, r"decay is 0\.0: set it above 0 and at most 1"),
        ({"decay": 1.1}, r"decay is 1\.1"),
        ({"domain_temperature": 0.0}, r"domain_temperature is 0\.0: set it above 0"),
    ],
)
def test_numbers_without_meaning_are_refused(
    options: dict[str, Any], message: str, tiny_dataset: Path, tiny_language: str
) -> None:
    with pytest.raises(InputError, match=message):
        next_items(tiny_dataset, tiny_language, **options)


def test_a_batch_larger_than_the_data_is_refused(tiny_dataset: Path, tiny_language: str) -> None:
    datamodule = next_items(tiny_dataset, tiny_language, batch_size=10_000)
    with pytest.raises(InputError, match=r"batch_size is 10000.*set it lower"):
        datamodule.train_dataloader()
