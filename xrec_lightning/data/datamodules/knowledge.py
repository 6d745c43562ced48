"""Knowledge text as batches for masked language modeling."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from xrec_lightning.batches import Catalog, MaskedTextBatch
from xrec_lightning.data.catalog import read_catalog
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.corpus import corpus, text_split
from xrec_lightning.data.text.masking import Masking, Vocabulary, mask_tokens
from xrec_lightning.data.text.tokenize import (
    TokenizedTexts,
    length_batches,
    load_tokenizer,
    masking_vocabulary,
    pad_id,
    tokenize_cached,
)
from xrec_lightning.schema import DOMAIN_INDEX, TEST, TEXT, TRAIN, VAL

TOKENS_FOLDER = "tokens"


class Corpus(Dataset[MaskedTextBatch]):
    """Tokenized texts of like length as ready batches, masked when they are read.

    Args:
        tokens: All texts.
        domain_ids: Domain of each text.
        rows: The texts served.
        vocabulary: Of the tokenizer.
        padding: Token that fills the rows of a batch.
        batch_tokens: Padded tokens of a batch.
        masking: Share and whole-word option.
        seed: Seed of the masks.
        fixed: Whether a batch is masked alike whenever it is read.
    """

    def __init__(
        self,
        tokens: TokenizedTexts,
        domain_ids: np.ndarray,
        rows: np.ndarray,
        vocabulary: Vocabulary,
        padding: int,
        batch_tokens: int,
        masking: Masking,
        seed: int,
        *,
        fixed: bool,
    ) -> None:
        self.tokens = tokens
        self.domain_ids = domain_ids
        self.batches = [rows[at] for at in length_batches(tokens.lengths[rows], batch_tokens)]
        self.vocabulary = vocabulary
        self.padding = padding
        self.masking = masking
        self.seed = seed
        self.fixed = fixed
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> MaskedTextBatch:
        rows = self.batches[index]
        if self.fixed:
            self.generator.manual_seed(self.seed + index)
        return mask_tokens(
            self.tokens.batch(rows, self.padding),
            torch.from_numpy(self.domain_ids[rows]),
            self.vocabulary,
            self.masking,
            self.generator,
        )


class KnowledgeDataModule(LightningDataModule):
    """Serve the distinct texts of items, user profiles and domains with hidden tokens.

    The text of hidden items is among them: catalog text is known at launch.

    Args:
        dataset: A prepared folder, or the data YAML that `xrec prepare` was given.
        model: The language model whose tokenizer is used.
        batch_tokens: Padded tokens of a batch.
        max_tokens: Longest text, in tokens.
        mask_share: Share of the tokens that is predicted.
        whole_words: Hide all tokens of a word or none.
        held_out: Share of the texts of validation and test together.
        seed: Seed of masks and order.
    """

    def __init__(
        self,
        dataset: Path,
        model: str,
        batch_tokens: int = 2048,
        max_tokens: int = 128,
        mask_share: float = 0.15,
        whole_words: bool = False,
        held_out: float = 0.05,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.prepared = Prepared.open(locate(dataset))
        self.model = model
        self.batch_tokens = batch_tokens
        self.max_tokens = max_tokens
        self.masking = Masking(mask_share, whole_words)
        self.held_out = held_out
        self.seed = seed

    @cached_property
    def catalog(self) -> Catalog:
        """What the data knows and the module needs."""
        return read_catalog(self.prepared)

    @override
    def setup(self, stage: str) -> None:
        rows = corpus(self.prepared)
        texts = rows[TEXT].to_list()
        tokenizer = load_tokenizer(self.model)
        cache = self.prepared.folder.parent / TOKENS_FOLDER
        tokens = tokenize_cached(texts, self.model, tokenizer, self.max_tokens, cache)
        domain_ids = rows[DOMAIN_INDEX].to_numpy()
        splits = np.array([text_split(text, self.held_out) for text in texts])
        vocabulary, padding = masking_vocabulary(tokenizer), pad_id(tokenizer)
        self.corpora = {
            split: Corpus(
                tokens,
                domain_ids,
                np.flatnonzero(splits == split),
                vocabulary,
                padding,
                self.batch_tokens,
                self.masking,
                self.seed,
                fixed=split != TRAIN,
            )
            for split in (TRAIN, VAL, TEST)
        }

    @override
    def train_dataloader(self) -> DataLoader[MaskedTextBatch]:
        generator = torch.Generator().manual_seed(self.seed)
        return DataLoader(self.corpora[TRAIN], batch_size=None, shuffle=True, generator=generator)

    @override
    def val_dataloader(self) -> DataLoader[MaskedTextBatch]:
        return DataLoader(self.corpora[VAL], batch_size=None)

    @override
    def test_dataloader(self) -> DataLoader[MaskedTextBatch]:
        return DataLoader(self.corpora[TEST], batch_size=None)
