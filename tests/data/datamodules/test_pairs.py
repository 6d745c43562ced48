from pathlib import Path

import pytest
import torch

from xrec_lightning.data.datamodules.pairs import PairDataModule


@pytest.fixture
def datamodule(tiny_dataset: Path, tiny_language: str) -> PairDataModule:
    datamodule = PairDataModule(
        tiny_dataset,
        tiny_language,
        batch_size=4,
        pairs_per_epoch=10,
        eval_pairs=5,
        held_out=0.3,
        min_count=1,
        min_lift=0.0,
    )
    datamodule.setup("fit")
    return datamodule


def test_no_held_out_pair_is_trained_on(datamodule: PairDataModule) -> None:
    sets = [
        set(zip(part.pairs.left.tolist(), part.pairs.right.tolist(), strict=True))
        for part in (datamodule.train_pairs, datamodule.val_pairs, datamodule.test_pairs)
    ]
    train, val, test = sets
    assert len(train) > 20
    assert len(val) == len(test) == 5
    assert not train & val
    assert not train & test
    assert not val & test


def test_texts_and_ids_of_a_batch_belong_together(datamodule: PairDataModule) -> None:
    batch = datamodule.train_pairs.__getitems__([0, 3])
    pairs = datamodule.train_pairs.pairs
    items = datamodule.prepared.items()
    for side, rows, ids in (
        (batch.left, pairs.left[[0, 3]], batch.left_ids),
        (batch.right, pairs.right[[0, 3]], batch.right_ids),
    ):
        expected = datamodule.train_pairs.tokens.batch(rows, 0)
        assert torch.equal(side.token_ids, expected.token_ids)
        texts = [pairs.texts[row] for row in rows]
        assert [items["text"][int(i) - 1] for i in ids] == texts


def test_an_epoch_has_the_asked_length_and_evaluation_every_pair(
    datamodule: PairDataModule,
) -> None:
    assert [len(batch.left_ids) for batch in datamodule.train_dataloader()] == [4, 4]
    assert sum(len(batch.left_ids) for batch in datamodule.val_dataloader()) == 5
    assert sum(len(batch.left_ids) for batch in datamodule.test_dataloader()) == 5
