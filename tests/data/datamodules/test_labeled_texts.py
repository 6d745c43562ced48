from pathlib import Path

import pytest
import torch

from xrec_lightning.batches import LabeledTextBatch
from xrec_lightning.data.datamodules.labeled_texts import LabeledTextDataModule
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.text.tokenize import load_tokenizer


def test_batches_hold_the_texts_with_their_classes(tiny_dataset: Path, tiny_language: str) -> None:
    data = LabeledTextDataModule(
        tiny_dataset, tiny_language, "brand", min_count=1, batch_size=4, held_out=0.2
    )
    data.setup("fit")
    tokenizer = load_tokenizer(tiny_language)
    items = data.prepared.items()
    seen: list[set[int]] = []
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        batches = list(loader)
        seen.append({int(item) for batch in batches for item in batch.item_ids})
        for batch in batches:
            assert isinstance(batch, LabeledTextBatch)
            assert not batch.user_ids.any()
            for row, item in enumerate(batch.item_ids.tolist()):
                ids = batch.text.token_ids[row][batch.text.attention_mask[row]]
                assert ids.tolist() == tokenizer(items["title"][item - 1])["input_ids"]
                assert data.catalog.classes[batch.labels[row]] == items["brand"][item - 1]
                domain = data.prepared.domains[batch.domain_ids[row] - 1]
                assert domain == items["domains"][item - 1][0]
    assert all(seen)
    assert sum(map(len, seen)) == len(set.union(*seen)) == 29
    labels = torch.cat([batch.labels for batch in data.train_dataloader()])
    assert data.catalog.class_counts == tuple(torch.bincount(labels, minlength=3).tolist())


def test_users_are_classified_by_their_histories(tiny_dataset: Path, tiny_language: str) -> None:
    data = LabeledTextDataModule(
        tiny_dataset, tiny_language, "domain", of="user", min_count=1, held_out=0.2, train_texts=9
    )
    data.setup("fit")
    assert len(data.train_set) == 9
    assert data.catalog.classes == ("pots", "tea")
    (batch,) = data.train_dataloader()
    assert batch.user_ids.min() > 0
    assert not batch.item_ids.any()


def test_labels_that_the_data_lack_are_refused(tiny_dataset: Path, tiny_language: str) -> None:
    data = LabeledTextDataModule(tiny_dataset, tiny_language, "color")
    with pytest.raises(InputError, match=r"data\.init_args\.label: the data have no `color`"):
        _ = data.catalog
    data = LabeledTextDataModule(tiny_dataset, tiny_language, "age", of="user")
    with pytest.raises(InputError, match=r"label: the data have no `age`; valid: domain"):
        _ = data.catalog


def test_a_split_without_texts_is_refused(tiny_dataset: Path, tiny_language: str) -> None:
    data = LabeledTextDataModule(tiny_dataset, tiny_language, "brand", min_count=1, held_out=0.0)
    with pytest.raises(InputError, match=r"held_out: 0\.0: no text is of val; take a share"):
        data.setup("fit")
