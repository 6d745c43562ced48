from pathlib import Path

import numpy as np
import pytest

from xrec_lightning.data.datamodules.instruction import InstructionDataModule
from xrec_lightning.data.tokenize import load_tokenizer


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


def test_a_prompt_names_the_newest_history_and_the_candidate(
    datamodule: InstructionDataModule, tiny_language: str
) -> None:
    clicks, tokens = datamodule.train_set.clicks, datamodule.train_set.tokens
    names = ["", *datamodule.prepared.items()["text"].fill_null("")]
    tokenizer = load_tokenizer(tiny_language)
    for row in range(10):
        ids = tokens.token_ids[tokens.offsets[row] : tokens.offsets[row + 1]]
        end, start = clicks.history_ends[row], clicks.history_starts[row]
        newest = datamodule.prepared.item_ids[max(start, end - 2) : end]
        history = "; ".join(names[item] for item in newest if names[item])
        expected = f"history: {history or 'none'}. candidate: {names[clicks.item_ids[row]]}"
        assert ids.tolist() == tokenizer(expected)["input_ids"]


def test_evaluated_choices_are_the_targets_of_their_users(
    datamodule: InstructionDataModule,
) -> None:
    targets = datamodule.prepared.targets("test").select("user_index", "item_index").rows()
    clicks = datamodule.test_set.clicks
    positives = zip(clicks.user_ids[::2].tolist(), clicks.item_ids[::2].tolist(), strict=True)
    assert set(positives) <= set(targets)
