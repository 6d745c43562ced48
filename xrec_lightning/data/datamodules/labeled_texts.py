"""Texts of items or of users with their classes."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from xrec_lightning.batches import Catalog, LabeledTextBatch
from xrec_lightning.data.catalog import read_catalog
from xrec_lightning.data.datamodules.loading import loader_in_order, loader_shuffled
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.classes import (
    LABEL,
    LabeledTexts,
    history_texts,
    item_texts,
    keep_frequent_classes,
)
from xrec_lightning.data.text.clicks import split_users
from xrec_lightning.data.text.fitting import refuse_long
from xrec_lightning.data.text.templates import ItemLines, LineConfig
from xrec_lightning.data.text.tokenize import TokenizedTexts, load_tokenizer, pad_id, tokenize
from xrec_lightning.schema import (
    DOMAIN_INDEX,
    ITEM_ID,
    ITEM_INDEX,
    SPLIT,
    TEST,
    TEXT,
    TRAIN,
    USER_ID,
    USER_INDEX,
    VAL,
)

_KEY = "data.init_args"


class LabeledSet(Dataset[LabeledTextBatch]):
    """Tokenized texts with their classes, a batch at a time.

    Args:
        rows: As in `LabeledTexts`.
        tokens: Those of the texts.
        padding: The padding token.
    """

    def __init__(self, rows: pl.DataFrame, tokens: TokenizedTexts, padding: int) -> None:
        self.rows = rows
        self.tokens = tokens
        self.padding = padding
        names = (LABEL, USER_INDEX, ITEM_INDEX, DOMAIN_INDEX)
        self.columns = [torch.from_numpy(rows[name].to_numpy().copy()) for name in names]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, rows: Sequence[int]) -> LabeledTextBatch:
        """Return the batch of ``rows``."""
        index = np.asarray(rows)
        labels, user_ids, item_ids, domain_ids = (column[index] for column in self.columns)
        text = self.tokens.batch(index, self.padding)
        return LabeledTextBatch(text, labels, user_ids, item_ids, domain_ids)


class LabeledTextDataModule(LightningDataModule):
    """Serve the texts of items, or of users' histories, with their classes.

    Equal texts of items are of one split; so is a user. Classes with few training texts are left
    out of all splits, and their number is logged.

    Args:
        dataset: A prepared folder, or the data YAML that `xrec prepare` was given.
        model: The language model whose tokenizer is used.
        label: What is predicted: a column of the catalog, of which the first one counts where it
            holds tags, or `domain`. For users a column of theirs, or the `domain` of most events of
            their history.
        of: Whose texts.
        lines: What is said of an item.
        history_items: Newest items of a user's training history that are said.
        min_count: Fewest training texts of a class.
        batch_size: Texts of a batch.
        train_texts: Training texts, drawn from all; all by default.
        eval_texts: Texts of validation, and of test; all by default.
        max_tokens: Longest text, in tokens; of an item the rest is cut off, of a history the start.
        held_out: Share of the texts or users of validation, and of test.
        seed: Seed of the draws and of the split of users.

    Raises:
        InputError: If the data have no such label, or fewer than two classes are left.
    """

    def __init__(
        self,
        dataset: Path,
        model: str,
        label: str,
        of: Literal["item", "user"] = "item",
        lines: LineConfig | None = None,
        history_items: int = 16,
        min_count: int = 16,
        batch_size: int = 64,
        train_texts: int | None = None,
        eval_texts: int | None = None,
        max_tokens: int = 64,
        held_out: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.prepared = Prepared.open(locate(dataset))
        self.model = model
        self.label = label
        self.of = of
        self.lines = lines or LineConfig()
        self.history_items = history_items
        self.min_count = min_count
        self.batch_size = batch_size
        self.counts = {TRAIN: train_texts, VAL: eval_texts, TEST: eval_texts}
        self.max_tokens = max_tokens
        self.held_out = held_out
        self.seed = seed

    @cached_property
    def labeled(self) -> LabeledTexts:
        """All texts with their classes."""
        if self.of == "item":
            rows = item_texts(self.prepared, self.lines, self.label, self.held_out, _KEY)
        else:
            is_user = split_users(len(self.prepared.users()), self.held_out, self.seed)
            lines = ItemLines(self.prepared, self.lines, f"{_KEY}.lines")
            rows = history_texts(self.prepared, lines, self.label, self.history_items, is_user)
        drawn = pl.concat([self._draw(rows.filter(pl.col(SPLIT) == s), s) for s in self.counts])
        return keep_frequent_classes(drawn, self.min_count, self.label)

    @cached_property
    def catalog(self) -> Catalog:
        """What the data knows and the module needs."""
        training = self.labeled.rows.filter(pl.col(SPLIT) == TRAIN)
        counts = np.bincount(training[LABEL].to_numpy(), minlength=len(self.labeled.classes))
        return read_catalog(self.prepared)._replace(
            classes=self.labeled.classes, class_counts=tuple(counts.tolist())
        )

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
        self.train_set, self.val_set, self.test_set = map(self._set, (TRAIN, VAL, TEST))

    def _set(self, split: str) -> LabeledSet:
        tokenizer = load_tokenizer(self.model)
        refuse_long(self.max_tokens, tokenizer, f"{_KEY}.max_tokens")
        rows = self.labeled.rows.filter(pl.col(SPLIT) == split)
        if len(rows) == 0:
            raise InputError(
                f"{_KEY}.held_out: {self.held_out}: no text is of {split}; take a share between 0 "
                "and 0.5 that leaves some for each of train, val and test"
            )
        texts, keep_end = rows[TEXT].to_list(), self.of == "user"
        tokens = tokenize(texts, tokenizer, self.max_tokens, keep_end=keep_end)
        return LabeledSet(rows, tokens, pad_id(tokenizer))

    def _draw(self, rows: pl.DataFrame, split: str) -> pl.DataFrame:
        """Return as many of the texts of a split as were asked for."""
        order = np.random.default_rng(self.seed).permutation(len(rows))
        return rows[np.sort(order[: self.counts[split]])]

    @override
    def train_dataloader(self) -> DataLoader[LabeledTextBatch]:
        return loader_shuffled(self.train_set, self.batch_size, self.seed)

    @override
    def val_dataloader(self) -> DataLoader[LabeledTextBatch]:
        return loader_in_order(self.val_set, self.batch_size, self.trainer)

    @override
    def test_dataloader(self) -> DataLoader[LabeledTextBatch]:
        return loader_in_order(self.test_set, self.batch_size, self.trainer)

    @override
    def predict_dataloader(self) -> DataLoader[LabeledTextBatch]:
        return loader_in_order(self.test_set, self.batch_size, self.trainer)
