from pathlib import Path

import pytest
import torch

from xrec_lightning.data.datamodules.knowledge import KnowledgeDataModule
from xrec_lightning.data.text.masking import IGNORED


@pytest.fixture
def datamodule(tiny_dataset: Path, tiny_language: str) -> KnowledgeDataModule:
    datamodule = KnowledgeDataModule(
        tiny_dataset, tiny_language, batch_tokens=40, mask_share=0.3, held_out=0.5
    )
    datamodule.setup("fit")
    return datamodule


def originals(batch: object) -> list[tuple[int, ...]]:
    hidden = batch.labels != IGNORED  # type: ignore[attr-defined]  # any masked batch
    tokens = torch.where(hidden, batch.labels, batch.token_ids)  # type: ignore[attr-defined]
    return [tuple(row[row != 0].tolist()) for row in tokens]


def test_splits_share_no_text(datamodule: KnowledgeDataModule) -> None:
    loaders = (
        datamodule.train_dataloader(),
        datamodule.val_dataloader(),
        datamodule.test_dataloader(),
    )
    splits = [{text for batch in loader for text in originals(batch)} for loader in loaders]
    assert all(splits)
    assert len(set.union(*splits)) == sum(map(len, splits)) == 29 + 2  # items and domains


def test_training_masks_change_and_validation_masks_are_fixed(
    datamodule: KnowledgeDataModule,
) -> None:
    val = datamodule.val_dataloader()
    for first, again in zip(val, val, strict=True):
        assert torch.equal(first.token_ids, again.token_ids)
        assert torch.equal(first.labels, again.labels)
    corpus = datamodule.corpora["train"]
    assert any(not torch.equal(corpus[i].labels, corpus[i].labels) for i in range(len(corpus)))


def test_batches_stay_within_the_token_budget(datamodule: KnowledgeDataModule) -> None:
    for batch in datamodule.train_dataloader():
        assert batch.token_ids.numel() <= 40 or len(batch.token_ids) == 1
        assert batch.domain_ids.shape == (len(batch.token_ids),)


def test_tokens_are_cached_beside_the_prepared_folder(datamodule: KnowledgeDataModule) -> None:
    cached = datamodule.prepared.folder.parent / "tokens"
    assert [path for path in cached.iterdir() if path.name.startswith(".")] == []
    assert len(list(cached.glob("*/token_ids.npy"))) == 1
