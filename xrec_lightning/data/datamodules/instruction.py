"""Histories and candidates as text, with the user's answer."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from xrec_lightning.batches import Catalog, PromptBatch
from xrec_lightning.data.catalog import read_catalog
from xrec_lightning.data.datamodules.loading import as_it_is, loader_in_order
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.clicks import (
    Choices,
    Clicks,
    MatchedNegatives,
    add_negatives,
    split_users,
    target_choices,
    training_choices,
)
from xrec_lightning.data.text.labels import (
    EVERYTHING,
    DislikedItems,
    LabelConfig,
    refuse_bad_labels,
)
from xrec_lightning.data.text.prompts import RelatedTitles, history_text
from xrec_lightning.data.text.tokenize import TokenizedTexts, load_tokenizer, pad_id, tokenize
from xrec_lightning.schema import ITEM_ID, TEST, TEXT, TITLE, TRAIN, USER_ID, VAL


class Prompts(Dataset[PromptBatch]):
    """Tokenized prompts with their labels, a batch at a time."""

    def __init__(
        self, clicks: Clicks, histories: TokenizedTexts, candidates: TokenizedTexts, padding: int
    ) -> None:
        self.clicks = clicks
        self.histories = histories
        self.candidates = candidates
        self.padding = padding

    def __len__(self) -> int:
        return len(self.clicks.labels)

    def __getitems__(self, rows: Sequence[int]) -> PromptBatch:
        """Return the batch of ``rows``."""
        index = np.asarray(rows)
        return PromptBatch(
            history=self.histories.batch(index, self.padding),
            candidate=self.candidates.batch(index, self.padding),
            labels=torch.from_numpy(self.clicks.labels[index].astype(np.float32)),
            user_ids=torch.from_numpy(self.clicks.user_ids[index].astype(np.int64)),
            item_ids=torch.from_numpy(self.clicks.item_ids[index].astype(np.int64)),
            domain_ids=torch.from_numpy(self.clicks.domain_ids[index].astype(np.int64)),
            group_ids=torch.from_numpy(index // 2),
        )


class InstructionDataModule(LightningDataModule):
    """Serve prompts of users' choices and of as many negatives.

    Users are split: those of validation and test are never trained on. Negatives are of the
    choice's domain, near it in popularity, and never taken by the user.

    Args:
        dataset: A prepared folder, or the data YAML that `xrec prepare` was given.
        model: The language model whose tokenizer is used.
        batch_size: Prompts of a batch.
        train_prompts: Training prompts, positives and negatives, drawn from all choices.
        eval_prompts: Prompts of validation, and of test.
        held_out: Share of the users of validation, and of test.
        history_items: Titles of the history in a prompt, those most like the candidate's.
        title_words: Words of a title that are read.
        max_tokens: Longest text, in tokens; of a history, the least like is cut off.
        match_width: Negatives are among the so many items next to the choice in popularity.
        seed: Seed of the split, of the choices and of the negatives.
        labels: Which events are choices, and which negatives are dislikes; all events are choices
            and no negative is a dislike by default.

    Raises:
        InputError: If the data have no such labels.
    """

    def __init__(
        self,
        dataset: Path,
        model: str,
        batch_size: int = 64,
        train_prompts: int = 4096,
        eval_prompts: int = 1024,
        held_out: float = 0.1,
        history_items: int = 2,
        title_words: int = 12,
        max_tokens: int = 64,
        match_width: int = 64,
        seed: int = 0,
        labels: LabelConfig | None = None,
    ) -> None:
        super().__init__()
        self.prepared = Prepared.open(locate(dataset))
        self.model = model
        self.batch_size = batch_size
        self.train_prompts = train_prompts
        self.eval_prompts = eval_prompts
        self.held_out = held_out
        self.history_items = history_items
        self.title_words = title_words
        self.max_tokens = max_tokens
        self.match_width = match_width
        self.seed = seed
        self.labels = labels or EVERYTHING
        refuse_bad_labels(self.prepared, self.labels)

    @cached_property
    def catalog(self) -> Catalog:
        """What the data knows and the module needs."""
        return read_catalog(self.prepared)

    @cached_property
    def raw_user_ids(self) -> pl.Series:
        """Raw ids of the users; index k is row k - 1."""
        return self.prepared.users()[USER_ID]

    @cached_property
    def raw_item_ids(self) -> pl.Series:
        """Raw ids of the items; index k is row k - 1."""
        return self.prepared.items()[ITEM_ID]

    @override
    def setup(self, stage: str) -> None:
        if hasattr(self, "train_set"):
            return
        users = split_users(self.catalog.num_users, self.held_out, self.seed)
        negatives = MatchedNegatives(self.prepared, self.match_width)
        train = training_choices(self.prepared, users[TRAIN], self.labels)
        if len(train.user_ids) == 0:
            raise InputError(
                f"data.init_args.labels: {self.labels}: no training event of "
                f"{self.prepared.folder} is a choice and has a strictly earlier event; ask less of "
                "a choice"
            )
        val = target_choices(self.prepared, VAL, users[VAL], self.labels)
        test = target_choices(self.prepared, TEST, users[TEST], self.labels)
        related = RelatedTitles(self._titles())
        share = self.labels.dislike_share
        disliked = DislikedItems(self.prepared, share) if share > 0 else None
        self.train_set = self._prompts(train, self.train_prompts, negatives, related, disliked)
        self.val_set = self._prompts(val, self.eval_prompts, negatives, related)
        self.test_set = self._prompts(test, self.eval_prompts, negatives, related)

    def _prompts(
        self,
        choices: Choices,
        count: int,
        negatives: MatchedNegatives,
        related: RelatedTitles,
        disliked: DislikedItems | None = None,
    ) -> Prompts:
        """Return at most ``count`` prompts of seeded choices and their negatives."""
        order = np.random.default_rng(self.seed).permutation(len(choices.user_ids))
        chosen = choices.select(order[: count // 2])
        clicks = add_negatives(chosen, negatives, self.seed, disliked)
        item_ids = np.asarray(self.prepared.item_ids)
        histories = [
            history_text(related.choose(item_ids[start:end].tolist(), item, self.history_items))
            for start, end, item in zip(
                clicks.history_starts, clicks.history_ends, clicks.item_ids, strict=True
            )
        ]
        candidates = [related.titles[item] for item in clicks.item_ids]
        tokenizer = load_tokenizer(self.model)
        return Prompts(
            clicks,
            tokenize(histories, tokenizer, self.max_tokens, keep_end=True),
            tokenize(candidates, tokenizer, self.max_tokens),
            pad_id(tokenizer),
        )

    def _titles(self) -> list[str]:
        """Return the title of each item, by item index, or else its text, or else ""."""
        items = self.prepared.items()
        named = items.select(pl.coalesce(TITLE, TEXT).fill_null("")).to_series()
        return ["", *(" ".join(name.split()[: self.title_words]) for name in named)]

    @override
    def train_dataloader(self) -> DataLoader[PromptBatch]:
        generator = torch.Generator().manual_seed(self.seed)
        return DataLoader(
            self.train_set,
            batch_size=self.batch_size,
            shuffle=True,
            generator=generator,
            collate_fn=as_it_is,
        )

    @override
    def val_dataloader(self) -> DataLoader[PromptBatch]:
        return loader_in_order(self.val_set, self.batch_size, self.trainer)

    @override
    def test_dataloader(self) -> DataLoader[PromptBatch]:
        return loader_in_order(self.test_set, self.batch_size, self.trainer)

    @override
    def predict_dataloader(self) -> DataLoader[PromptBatch]:
        return loader_in_order(self.test_set, self.batch_size, self.trainer)
