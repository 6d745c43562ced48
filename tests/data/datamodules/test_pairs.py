from pathlib import Path

import numpy as np
import pytest
import torch

from xrec_lightning.data.datamodules.pairs import PairDataModule


def pairs(dataset: Path, model: str, one_domain_batches: bool = False) -> PairDataModule:
    datamodule = PairDataModule(
        dataset,
        model,
        batch_size=4,
        pairs_per_epoch=10,
        eval_pairs=5,
        held_out=0.3,
        min_count=1,
        min_lift=0.0,
        one_domain_batches=one_domain_batches,
    )
    datamodule.setup("fit")
    return datamodule


@pytest.fixture
def datamodule(tiny_dataset: Path, tiny_language: str) -> PairDataModule:
    return pairs(tiny_dataset, tiny_language)


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


def test_shares_are_those_of_the_draws(datamodule: PairDataModule) -> None:
    train = datamodule.train_pairs
    rows = np.arange(len(train))
    batch = train[rows]
    weights = train.pairs.strengths**0.5
    for log_q, side in (
        (batch.left_log_q, train.pairs.left),
        (batch.right_log_q, train.pairs.right),
    ):
        expected = np.bincount(side, weights)[side] / weights.sum()
        np.testing.assert_allclose(log_q.exp().numpy(), expected, rtol=1e-5)


def test_a_batch_may_be_of_one_pair_of_domains(tiny_dataset: Path, tiny_language: str) -> None:
    datamodule = pairs(tiny_dataset, tiny_language, one_domain_batches=True)
    loader = datamodule.train_dataloader()
    kinds = set()
    for epoch in range(8):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        for batch in loader:
            both = torch.stack([batch.left_ids, batch.right_ids]) <= 15  # tea is items 1 to 15
            assert (both == both[:, :1]).all()
            kinds.add(tuple(both[:, 0].tolist()))
    assert len(kinds) > 1
