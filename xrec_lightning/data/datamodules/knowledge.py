"""Knowledge text as batches for pre-training a language model."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from xrec_lightning.batches import Catalog, TextSource, TokenBatch
from xrec_lightning.data.catalog import read_catalog
from xrec_lightning.data.datamodules.loading import as_it_is, loader_in_order
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.corpus import TAIL_START, TripleTexts, corpus, text_split
from xrec_lightning.data.text.objectives import Labeler, MaskedObjective, ObjectiveConfig
from xrec_lightning.data.text.packing import lay_out
from xrec_lightning.data.text.text_batches import Ints, TextBatches, TextRows
from xrec_lightning.data.text.tokenize import (
    TokenizedTexts,
    length_batches,
    load_tokenizer,
    pad_id,
    token_positions,
    tokenize_cached,
)
from xrec_lightning.data.text.train_tokenizer import TokenizerConfig, trained_tokenizer
from xrec_lightning.schema import DOMAIN_INDEX, TEST, TEXT, TRAIN, VAL

TOKENS_FOLDER = "tokens"
TOKENIZERS_FOLDER = "tokenizers"


class LabeledTexts(NamedTuple):
    """Tokenized texts that become batches. N texts."""

    tokens: TokenizedTexts
    """All texts."""
    domain_ids: Ints
    """Domain of each, shape ``(N,)``."""
    tail_starts: Ints
    """Token at which the tail of a triple begins, -1 in other texts, shape ``(N,)``."""
    padding: int
    """Token of what no text fills."""
    label: Labeler
    """Chooses what is predicted."""

    def batch(self, texts: TextRows, block_size: int | None, views: int) -> TokenBatch:
        """Return the texts with labels, each as often as there are views."""
        rows = np.tile(texts.rows, views)
        blocks = lay_out(self.tokens, rows, self.padding, block_size, self.tail_starts)
        token_ids, labels = self.label(blocks, texts.generator())
        return TokenBatch(
            token_ids=token_ids,
            attention_mask=blocks.text.attention_mask,
            labels=labels,
            domain_ids=torch.from_numpy(self.domain_ids[rows]),
            text_ids=torch.from_numpy(rows),
            segments=None if block_size is None else blocks.segments,
        )


class TrainingTexts(Dataset[TokenBatch]):
    """Batches of the texts that a `TextBatches` draws."""

    def __init__(self, texts: LabeledTexts, block_size: int | None, views: int) -> None:
        self.texts = texts
        self.block_size = block_size
        self.views = views

    def __getitem__(self, rows: TextRows) -> TokenBatch:
        return self.texts.batch(rows, self.block_size, self.views)


class HeldOutTexts(Dataset[TokenBatch]):
    """Batches of like length, with the same labels whenever one is read, and whoever reads it."""

    def __init__(self, texts: LabeledTexts, batches: Sequence[TextRows]) -> None:
        self.texts = texts
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> TokenBatch:
        return self.texts.batch(self.batches[index], None, 1)


class KnowledgeDataModule(LightningDataModule):
    """Serve the distinct texts of items, user profiles, domains and triples with labels.

    The text of hidden items is among them: catalog text is known at launch.

    Args:
        dataset: A prepared folder, or the data YAML that `xrec prepare` was given.
        model: The language model whose tokenizer is used, or the config of a new tokenizer, which
            is trained on the training texts.
        objective: What is predicted; by default hidden tokens, as `MaskedObjective` says.
        batch_tokens: Tokens of a batch in each process, those of padding included.
        max_tokens: Longest text, in tokens.
        block_size: Put several texts into blocks of so many tokens, none of which sees another, in
            training; by default a batch has texts of like length, which is faster on a CPU.
        views: How often a training batch holds each of its texts, with other tokens hidden: 2 for
            a contrastive term between masks.
        domain_power: A domain serves tokens in proportion to all its tokens to this power: with 1
            each text once an epoch, with less the small domains more often.
        triples: `facts` writes what is said of each entity, `tails` each triple, of which the tail
            is to be predicted, and `none` neither.
        held_out: Share of the texts of validation and test together.
        held_out_masks: How often a text is measured, with other tokens hidden each time, where
            tokens are hidden.
        num_workers: Processes that make training batches.
        seed: Seed of labels and order.
    """

    def __init__(
        self,
        dataset: Path,
        model: str | TokenizerConfig,
        objective: ObjectiveConfig | None = None,
        batch_tokens: int = 2048,
        max_tokens: int = 128,
        block_size: int | None = None,
        views: int = 1,
        domain_power: float = 1.0,
        triples: TripleTexts = "facts",
        held_out: float = 0.05,
        held_out_masks: int = 1,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.prepared = Prepared.open(locate(dataset))
        self.model = model
        self.objective = objective or MaskedObjective()
        self.batch_tokens = batch_tokens
        self.max_tokens = max_tokens
        self.block_size = block_size
        self.views = views
        self.domain_power = domain_power
        self.triples = triples
        self.held_out = held_out
        self.held_out_masks = held_out_masks
        self.num_workers = num_workers
        self.seed = seed
        self._refuse_bad_numbers()

    @cached_property
    def catalog(self) -> Catalog:
        """What the data knows and the module needs."""
        source = TextSource(self.tokenizer_name, self.max_tokens, self.objective.name, self.views)
        return read_catalog(self.prepared)._replace(texts=source)

    @cached_property
    def tokenizer_name(self) -> str:
        """The model whose tokenizer is used, or the folder of the one that was trained."""
        if isinstance(self.model, str):
            return self.model
        texts = self.rows.filter(split=TRAIN)[TEXT].to_list()
        return str(trained_tokenizer(texts, self.model, self._caches / TOKENIZERS_FOLDER))

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The texts with domain, position of a tail, and split.

        Raises:
            InputError: If nothing is left to train on or to measure.
        """
        texts = corpus(self.prepared, self.triples)
        splits = [text_split(text, self.held_out) for text in texts[TEXT]]
        counts = {split: splits.count(split) for split in (TRAIN, VAL, TEST)}
        if not all(counts.values()):
            raise InputError(
                f"{self.prepared.folder}: data.init_args.held_out is {self.held_out}, which leaves "
                f"{counts[TRAIN]} texts to train on, {counts[VAL]} to validate and {counts[TEST]} "
                "to test; choose another share, or more texts"
            )
        return texts.with_columns(pl.Series("split", splits))

    @override
    def setup(self, stage: str) -> None:
        texts = self.rows[TEXT].to_list()
        tokenizer = load_tokenizer(self.tokenizer_name)
        tokens = tokenize_cached(
            texts, self.tokenizer_name, tokenizer, self.max_tokens, self._caches / TOKENS_FOLDER
        )
        characters = self.rows[TAIL_START].fill_null(-1).to_numpy()
        self.texts = LabeledTexts(
            self.objective.finish(tokens, tokenizer, self.max_tokens),
            self.rows[DOMAIN_INDEX].to_numpy(),
            token_positions(texts, characters, tokenizer, self.max_tokens),
            pad_id(tokenizer),
            self.objective.build(tokenizer),
        )

    @override
    def train_dataloader(self) -> DataLoader[TokenBatch]:
        rows = self.rows_of(TRAIN)
        sampler = TextBatches(
            rows,
            self.texts.tokens.lengths[rows] * self.views,
            self.texts.domain_ids[rows],
            self.batch_tokens,
            is_packed=self.block_size is not None,
            domain_power=self.domain_power,
            seed=self.seed,
            num_replicas=self.trainer.world_size if self.trainer else 1,
            rank=self.trainer.global_rank if self.trainer else 0,
        )
        return DataLoader(
            TrainingTexts(self.texts, self.block_size, self.views),
            batch_size=None,
            sampler=sampler,
            collate_fn=as_it_is,
            num_workers=self.num_workers,
        )

    @override
    def val_dataloader(self) -> DataLoader[TokenBatch]:
        return self._held_out_loader(VAL)

    @override
    def test_dataloader(self) -> DataLoader[TokenBatch]:
        return self._held_out_loader(TEST)

    def _held_out_loader(self, split: str) -> DataLoader[TokenBatch]:
        rows = self.rows_of(split)
        turns = self.held_out_masks if self.objective.name == "mlm" else 1
        batches = [
            TextRows(rows[at], (self.seed, turn, number))
            for turn in range(turns)
            for number, at in enumerate(
                length_batches(self.texts.tokens.lengths[rows], self.batch_tokens)
            )
        ]
        # A process without a batch would not take part when the figures are summed.
        world_size = self.trainer.world_size if self.trainer else 1
        batches += [TextRows(rows[:0], ())] * (world_size - len(batches))
        return loader_in_order(HeldOutTexts(self.texts, batches), None, self.trainer)

    def rows_of(self, split: str) -> Ints:
        """Return the texts of a split."""
        return np.flatnonzero((self.rows["split"] == split).to_numpy())

    @property
    def _caches(self) -> Path:
        return self.prepared.folder.parent

    def _refuse_bad_numbers(self) -> None:
        if self.block_size is not None and self.block_size < self.max_tokens:
            raise InputError(
                f"data.init_args.block_size: {self.block_size} is less than max_tokens, "
                f"{self.max_tokens}; a block must hold the longest text"
            )
        for key, allowed in (("views", (1, 2)), ("held_out_masks", range(1, 1000))):
            if getattr(self, key) not in allowed:
                raise InputError(
                    f"data.init_args.{key}: {getattr(self, key)} is not from {allowed[0]} to "
                    f"{allowed[-1]}"
                )
        if self.views > 1 and self.objective.name == "clm":
            raise InputError("data.init_args.views: 2 is for masked texts; set it to 1")
