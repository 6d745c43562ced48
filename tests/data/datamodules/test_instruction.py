from pathlib import Path

import numpy as np
import pytest

from xrec_lightning.data.datamodules.instruction import InstructionDataModule
from xrec_lightning.data.text.prompts import RelatedTitles
from xrec_lightning.data.text.tokenize import load_tokenizer


@pytest.fixture
def datamodule(tiny_dataset: Path, tiny_language: str) -> InstructionDataModule:
    datamodule = InstructionDataModule(
        tiny_dataset,
        tiny_language,
        batch_size=6,
        train_prompts=40,
        eval_prompts=100,
        held_out=0.3,
        history_items=2,
        max_tokens=64,
    )
    datamodule.setup("fit")
    return datamodule


def test_users_of_the_splits_are_disjoint_and_labels_balanced(
    datamodule: InstructionDataModule,
) -> None:
    loaders = (
        datamodule.train_dataloader(),
        datamodule.val_dataloader(),
        datamodule.test_dataloader(),
    )
    users = []
    for loader in loaders:
        batches = list(loader)
        users.append({int(user) for batch in batches for user in batch.user_ids})
        labels = np.concatenate([batch.labels.numpy() for batch in batches])
        assert labels.mean() == 0.5
    assert all(users)
    assert sum(map(len, users)) == len(set.union(*users))
    assert len(datamodule.train_set) == 40


def test_a_prompt_is_the_related_history_and_the_candidate(
    datamodule: InstructionDataModule, tiny_language: str
) -> None:
    clicks, batch = datamodule.train_set.clicks, datamodule.train_set.__getitems__(range(10))
    names = ["", *datamodule.prepared.items()["text"].fill_null("")]
    related = RelatedTitles(names)
    tokenizer = load_tokenizer(tiny_language)
    for row in range(10):
        item, visible = (
            int(clicks.item_ids[row]),
            slice(clicks.history_starts[row], clicks.history_ends[row]),
        )
        titles = related.choose(datamodule.prepared.item_ids[visible].tolist(), item, 2)
        for text, expected in (
            (batch.history, "; ".join(titles) or "none"),
            (batch.candidate, names[item]),
        ):
            ids = text.token_ids[row][text.attention_mask[row]]
            assert ids.tolist() == tokenizer(expected)["input_ids"]


def test_long_titles_are_cut(tiny_dataset: Path, tiny_language: str) -> None:
    datamodule = InstructionDataModule(tiny_dataset, tiny_language, title_words=1)
    datamodule.setup("fit")
    assert int(datamodule.train_set.candidates.lengths.max()) < 20
    assert all(" " not in title for title in datamodule._titles())


def test_evaluated_choices_are_the_targets_of_their_users(
    datamodule: InstructionDataModule,
) -> None:
    targets = datamodule.prepared.targets("test").select("user_index", "item_index").rows()
    clicks = datamodule.test_set.clicks
    positives = zip(clicks.user_ids[::2].tolist(), clicks.item_ids[::2].tolist(), strict=True)
    assert set(positives) <= set(targets)
