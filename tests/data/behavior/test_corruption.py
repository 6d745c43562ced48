from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer

from xrec_lightning.batches import SequenceBatch
from xrec_lightning.data.behavior.corruption import Corruption, exchange_vectors, replace_events
from xrec_lightning.data.behavior.sequences import Histories
from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.data.errors import InputError
from xrec_lightning.models.baselines.text_knn import TextKNNConfig
from xrec_lightning.models.channels.knowledge import whitened_vectors
from xrec_lightning.modules.baseline import BaselineRecommender

POOLS = [np.array([1, 2, 3, 5]), np.array([6, 7, 9])]


def histories(num_users: int = 400, length: int = 20) -> Histories:
    """Return histories in two domains; item 4 may not take the place of others."""
    generator = np.random.default_rng(0)
    domains = generator.integers(1, 3, num_users * length)
    items = np.where(
        domains == 1,
        generator.integers(1, 6, len(domains)),
        generator.choice([6, 7, 9], len(domains)),
    )
    offsets = np.arange(num_users + 1) * length
    return Histories(offsets, items, domains, np.arange(len(items)), offsets[1:])


def batches(datamodule: BehaviorDataModule, split: str = "test") -> list[SequenceBatch]:
    return list(getattr(datamodule, f"{split}_dataloader")())


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 1.0])
def test_a_share_of_the_events_becomes_other_items_of_their_domain(share: float) -> None:
    given = histories()
    found = replace_events(given, POOLS, share, seed=0)
    is_changed = found != given.item_ids
    assert is_changed.mean() == pytest.approx(share, abs=0.02)
    for domain, pool in enumerate(POOLS, start=1):
        rows = is_changed & (given.domain_ids == domain)
        assert np.isin(found[rows], pool).all()
        if share == 1.0:
            # From each item to every other one of the pool alike.
            for item in pool:
                counts = np.bincount(found[rows & (given.item_ids == item)], minlength=10)[pool]
                others = counts[pool != item]
                assert counts[pool == item] == 0
                assert others == pytest.approx(np.full(len(others), others.mean()), rel=0.2)


def test_a_larger_share_replaces_what_a_smaller_one_does() -> None:
    given = histories()
    some, more = (replace_events(given, POOLS, share, seed=0) for share in (0.1, 0.3))
    is_changed = some != given.item_ids
    assert (more[is_changed] == some[is_changed]).all()
    other = replace_events(given, POOLS, 0.1, seed=1)
    assert 0.05 < (is_changed & (other != given.item_ids)).sum() / is_changed.sum() < 0.15


def test_user_and_position_alone_decide() -> None:
    given = histories()
    whole = replace_events(given, POOLS, 0.3, seed=0)
    first = replace_events(histories(num_users=5), POOLS, 0.3, seed=0) != histories(5).item_ids
    assert (first == (whole != given.item_ids)[: len(first)]).all()


def test_a_pool_of_one_leaves_its_domain_as_it_is() -> None:
    given = histories(num_users=5)
    found = replace_events(given, [POOLS[0], POOLS[1][:1]], 1.0, seed=0)
    is_second = given.domain_ids == 2
    assert (found[is_second] == given.item_ids[is_second]).all()


@pytest.mark.parametrize("share", [0.1, 0.3, 1.0])
def test_a_share_of_the_vectors_changes_places(share: float) -> None:
    vectors = torch.randn(2001, 3, generator=torch.Generator().manual_seed(0))
    vectors[[0, 7]] = 0.0
    is_trained = torch.arange(2001) % 3 > 0
    found = exchange_vectors(vectors, is_trained, share, seed=0)
    is_changed = (found != vectors).any(dim=1)
    assert not is_changed[[0, 7]].any()
    assert is_changed.float().mean().item() == pytest.approx(share, abs=0.03)
    for group in (is_trained, ~is_trained):
        rows = [sorted(map(tuple, each[group].tolist())) for each in (found, vectors)]
        assert rows[0] == rows[1]
    assert torch.equal(found, exchange_vectors(vectors, is_trained, share, seed=0))
    assert not torch.equal(found, exchange_vectors(vectors, is_trained, share, seed=1))


def test_only_what_a_test_shows_of_histories_changes(tiny_dataset: Path) -> None:
    clean, damaged = (
        BehaviorDataModule(tiny_dataset),
        BehaviorDataModule(tiny_dataset, corrupt_events=0.5),
    )
    num_changed = 0
    for one, other in zip(batches(clean), batches(damaged), strict=True):
        num_changed += int((one.item_ids != other.item_ids).sum())
        for name, left, right in zip(one._fields, one, other, strict=True):
            if name != "item_ids":
                assert torch.equal(left, right), name
    assert num_changed > 20
    for one, other in zip(batches(clean, "val"), batches(damaged, "val"), strict=True):
        assert torch.equal(one.item_ids, other.item_ids)


def test_every_model_sees_the_same_damage(tiny_dataset: Path, tiny_store: Path) -> None:
    seen = []
    for knowledge, seed, size in ((None, 0, 3), (tiny_store, 7, 11)):
        datamodule = BehaviorDataModule(
            tiny_dataset, knowledge, seed=seed, eval_batch_size=size, corrupt_events=0.3
        )
        rows = [row for batch in batches(datamodule) for row in batch.item_ids.tolist()]
        seen.append([[item for item in row if item] for row in rows])
    assert seen[0] == seen[1]
    # A shorter history is the end of a longer one.
    short = BehaviorDataModule(tiny_dataset, max_seq_len=4, corrupt_events=0.3)
    rows = [row for batch in batches(short) for row in batch.item_ids.tolist()]
    assert [[item for item in row if item] for row in rows] == [row[-4:] for row in seen[0]]


def test_a_checkpoint_of_clean_data_is_tested_under_another_name(
    tiny_dataset: Path, tiny_store: Path
) -> None:
    clean = BehaviorDataModule(tiny_dataset, tiny_store)
    damaged = BehaviorDataModule(
        tiny_dataset, tiny_store, corrupt_events=0.3, corrupt_text=0.5, corruption_seed=2
    )
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    figures = {}
    for datamodule in (clean, damaged):
        module = BaselineRecommender(datamodule.catalog, TextKNNConfig())
        checkpoint = {"state_dict": module.state_dict()}
        BaselineRecommender(clean.catalog, TextKNNConfig()).on_save_checkpoint(checkpoint)
        module.on_load_checkpoint(checkpoint)
        trainer = Trainer(accelerator="cpu", **quiet)
        (values,) = trainer.test(module, datamodule, verbose=False)
        assert {key.partition("/")[0] for key in values} == {datamodule.catalog.test_stage}
        figures[datamodule.catalog.test_stage] = next(iter(values.values()))
    assert set(figures) == {"test", "test[events=0.3,text=0.5,corruption_seed=2]"}
    assert len(set(figures.values())) == 2


def test_a_whitening_is_the_same_for_exchanged_vectors(
    tiny_dataset: Path, tiny_store: Path
) -> None:
    clean = BehaviorDataModule(tiny_dataset, tiny_store).catalog
    damaged = BehaviorDataModule(tiny_dataset, tiny_store, corrupt_text=1.0).catalog
    assert clean.vectors is not None
    assert damaged.vectors is not None
    assert not torch.equal(clean.vectors, damaged.vectors)
    # The row that an item has now is the one that another item had before.
    sources = torch.cdist(damaged.vectors, clean.vectors).argmin(dim=1)
    expected = whitened_vectors(clean, 4)[sources]
    torch.testing.assert_close(whitened_vectors(damaged, 4), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("stage", ["fit", "validate", "predict"])
def test_nothing_but_a_test_takes_damaged_input(tiny_dataset: Path, stage: str) -> None:
    datamodule = BehaviorDataModule(tiny_dataset, corrupt_events=0.1)
    with pytest.raises(InputError, match="only `xrec test` does that, so leave corrupt_events"):
        datamodule.setup(stage)
    datamodule.setup("test")
    BehaviorDataModule(tiny_dataset).setup(stage)


def test_settings_that_cannot_be_name_the_remedy(tiny_dataset: Path) -> None:
    with pytest.raises(InputError, match=r"corrupt_text is 1\.5: it is a share"):
        Corruption(text=1.5)
    with pytest.raises(InputError, match=r"corrupt_text is 0\.1, but there is no knowledge"):
        BehaviorDataModule(tiny_dataset, corrupt_text=0.1)
    assert Corruption(seed=4).label == ""
