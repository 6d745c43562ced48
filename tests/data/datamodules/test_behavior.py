import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from xrec_lightning.batches import SequenceBatch
from xrec_lightning.data.behavior.augment import (
    AugmentationConfig,
    CropConfig,
    InterleaveConfig,
    MaskItemsConfig,
    ReorderConfig,
)
from xrec_lightning.data.behavior.samplers import WindowSampler
from xrec_lightning.data.behavior.similar import InsertConfig, SubstituteConfig
from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate


@pytest.fixture
def datamodule(tiny_dataset: Path, tiny_store: Path) -> BehaviorDataModule:
    return BehaviorDataModule(tiny_dataset, tiny_store, batch_size=4, eval_batch_size=3)


def test_the_catalog_holds_vectors_in_the_order_of_the_items(
    datamodule: BehaviorDataModule,
) -> None:
    catalog = datamodule.catalog
    assert catalog.vectors is not None
    assert catalog.vectors.shape == (catalog.num_items + 1, 8)
    for index, item_id in enumerate(datamodule.raw_item_ids, start=1):
        expected = datamodule.store.vectors("item", [item_id])[0]  # type: ignore[union-attr]
        torch.testing.assert_close(catalog.vectors[index], expected)
    assert "+" in catalog.fingerprint


def test_without_knowledge_there_are_no_vectors(tiny_dataset: Path) -> None:
    assert BehaviorDataModule(tiny_dataset).catalog.vectors is None


def test_training_never_shows_validation_or_test_targets(datamodule: BehaviorDataModule) -> None:
    shown = set()
    for batch in datamodule.train_dataloader():
        for row in range(len(batch.item_ids)):
            user = int(batch.user_ids[row])
            shown |= {(user, item) for item in batch.item_ids[row].tolist() if item}
    for loader in (datamodule.val_dataloader(), datamodule.test_dataloader()):
        for batch in loader:
            pairs = zip(batch.user_ids.tolist(), batch.target_ids[:, 0].tolist(), strict=True)
            assert not shown & set(pairs)


def test_augmented_training_repeats_with_the_seed_and_leaves_evaluation_alone(
    tiny_dataset: Path, tiny_store: Path
) -> None:
    kinds = [
        CropConfig(),
        MaskItemsConfig(),
        ReorderConfig(),
        InterleaveConfig(),
        SubstituteConfig(),
        InsertConfig(),
    ]

    def batches(seed: int, augmentations: list[AugmentationConfig]) -> list[list[SequenceBatch]]:
        datamodule = BehaviorDataModule(
            tiny_dataset, tiny_store, 4, seed=seed, augmentations=augmentations
        )
        loaders = (datamodule.train_dataloader(), datamodule.test_dataloader())
        return [list(loader) for loader in loaders]

    def differ(left: list[SequenceBatch], right: list[SequenceBatch]) -> list[str]:
        return [
            name
            for before, after in zip(left, right, strict=True)
            for name in SequenceBatch._fields
            if not torch.equal(getattr(before, name), getattr(after, name))
        ]

    plain, augmented, again = batches(0, []), batches(0, kinds), batches(0, kinds)
    assert not differ(augmented[0], again[0])
    assert "item_ids" in differ(plain[0], augmented[0])
    assert not differ(plain[1], augmented[1])
    for before, after in zip(plain[0], augmented[0], strict=True):
        kept = after.target_ids > 0
        assert torch.equal(after.target_ids, before.target_ids * kept)
        assert after.item_ids.size(1) <= 51


def test_shards_and_temperature_reach_the_sampler(tiny_dataset: Path) -> None:
    datamodule = BehaviorDataModule(tiny_dataset, locality="shard", domain_temperature=3.0)
    sampler = datamodule.train_dataloader().sampler
    assert isinstance(sampler, WindowSampler)
    assert (sampler.locality, sampler.domain_temperature) == ("shard", 3.0)
    with pytest.raises(InputError, match="domain_temperature is 0"):
        BehaviorDataModule(tiny_dataset, domain_temperature=0)


def test_events_that_are_weighed_disliked_or_ordered_say_so_in_training(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "prepared"
    shutil.copytree(locate(tiny_dataset), folder)
    plain = BehaviorDataModule(folder)
    for batch in plain.train_dataloader():
        assert torch.equal(batch.target_weights, (batch.target_ids > 0).float())
        assert batch.disliked_ids.size(1) == 0
    users, events = len(plain.raw_user_ids), len(plain.histories.times)
    np.save(folder / "sequences/weights.npy", np.arange(1, events + 1, dtype=np.float32))
    np.save(folder / "sequences/dislike_offsets.npy", np.array([0, 3, *[4] * (users - 1)]))
    np.save(folder / "sequences/dislike_ids.npy", np.array([5, 6, 7, 8], dtype=np.int32))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["config"]["split"]["ties"] = "file"
    (folder / "manifest.json").write_text(json.dumps(manifest))

    changed = BehaviorDataModule(folder, max_dislikes=2)
    assert changed.histories.is_ordered
    assert not plain.histories.is_ordered
    item_ids, offsets = changed.histories.item_ids, changed.histories.offsets
    for batch in changed.train_dataloader():
        dislikes = {1: {6, 7}, 2: {8}}
        for row, user in enumerate(batch.user_ids.tolist()):
            assert set(batch.disliked_ids[row].tolist()) - {0} == dislikes.get(user, set())
            # Every event but the first is a target, of its own weight.
            assert ((batch.target_ids[row] > 0) == (batch.item_ids[row] > 0))[1:].all()
            for target, weight in zip(
                batch.target_ids[row], batch.target_weights[row], strict=True
            ):
                if target > 0:
                    assert item_ids[int(weight) - 1] == target
                    assert offsets[user - 1] < weight <= offsets[user]


def test_evaluation_covers_every_target_once(datamodule: BehaviorDataModule) -> None:
    rows = torch.cat([batch.row_ids for batch in datamodule.test_dataloader()])
    assert rows.tolist() == list(range(len(datamodule.prepared.targets("test"))))


def test_targets_are_described_by_raw_ids(datamodule: BehaviorDataModule) -> None:
    batch = next(iter(datamodule.test_dataloader()))
    described = datamodule.describe_targets("test", batch.row_ids.flip(0))
    users = datamodule.raw_user_ids.gather(batch.user_ids.flip(0).numpy() - 1)
    items = datamodule.raw_item_ids.gather(batch.target_ids[:, 0].flip(0).numpy() - 1)
    assert described["user_id"].to_list() == users.to_list()
    assert described["item_id"].to_list() == items.to_list()
    assert described["timestamp"].is_not_null().all()


def test_predict_asks_for_every_user_and_domain(datamodule: BehaviorDataModule) -> None:
    batches = list(datamodule.predict_dataloader())
    asked = [
        pair
        for batch in batches
        for pair in zip(
            batch.user_ids.tolist(), batch.target_domain_ids[:, 0].tolist(), strict=True
        )
    ]
    users, domains = datamodule.catalog.num_users, len(datamodule.catalog.domains)
    assert asked == [(u + 1, d + 1) for u in range(users) for d in range(domains)]


def test_an_unknown_user_is_named(datamodule: BehaviorDataModule) -> None:
    with pytest.raises(ValueError, match="'nobody' is not in"):
        datamodule.requests(["nobody"])


def test_ties_teach_on_request_and_are_never_tested(tiny_dataset: Path) -> None:
    strict = BehaviorDataModule(tiny_dataset, batch_size=4)
    chained = BehaviorDataModule(tiny_dataset, batch_size=4, learn_from_ties=True)
    tied = 0
    for old, new in zip(strict.train_dataloader(), chained.train_dataloader(), strict=True):
        assert torch.equal(old.item_ids, new.item_ids)
        is_real = new.item_ids > 0
        positions = torch.arange(is_real.size(1)).expand_as(is_real)
        assert torch.equal(new.state_positions[is_real], positions[is_real] - 1)
        assert (old.state_positions <= new.state_positions).all()
        seen = new.times.gather(1, new.state_positions.clamp_min(0))
        tied += int(((seen == new.times) & is_real & (new.state_positions >= 0)).sum())
    assert tied > 0
    for name in ("val_dataloader", "test_dataloader"):
        pairs = zip(getattr(strict, name)(), getattr(chained, name)(), strict=True)
        for old, new in pairs:
            assert all(torch.equal(*parts) for parts in zip(old, new, strict=True))
