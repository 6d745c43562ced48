"""Histories and candidates as text, with the user's answer."""

import logging
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.data.catalog import read_catalog
from xrec_lightning.data.datamodules.loading import loader_in_order, loader_shuffled
from xrec_lightning.data.datamodules.prompt_set import AnyPromptBatch, PromptSet
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.clicks import (
    Examples,
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
from xrec_lightning.data.text.negatives import MatchedNegatives, add_negatives
from xrec_lightning.data.text.prompt_texts import PromptTexts
from xrec_lightning.data.text.references import BIAS, TEXT_KNN, RatingBias, text_knn_scores
from xrec_lightning.data.text.templates import PromptConfig
from xrec_lightning.knowledge.store import KnowledgeStore
from xrec_lightning.schema import ITEM_ID, TEST, TRAIN, USER_ID, VAL

logger = logging.getLogger(__name__)

_KEY = "data.init_args"


class InstructionDataModule(LightningDataModule):
    """Serve prompts of users' choices and of their negatives, or of users' ratings.

    Users are split: those of validation and test are never trained on. Negatives are of the
    choice's domain, near it in popularity, and never taken by the user. A batch has whole groups of
    a choice and its negatives: a `PromptBatch`, or a `JointPromptBatch` where the prompt has a
    template.

    Args:
        dataset: A prepared folder, or the data YAML that `xrec prepare` was given.
        model: The language model whose tokenizer is used.
        prompt: The words and the budgets of the prompts.
        labels: What prompts ask for, which events are choices, and which negatives are dislikes;
            all events are choices and no negative is a dislike by default.
        batch_size: Prompts of a batch.
        train_prompts: Training prompts, positives and negatives, drawn from all choices.
        eval_prompts: Prompts of validation, and of test.
        shots: Train on exactly so many prompts, half of them choices: 16, 64 or 256 in the few-shot
            protocol of TALLRec (Bao et al., 2023, arXiv:2305.00447). Fewer shots are among more;
            the prompts of evaluation are those of a run without shots.
        negatives: Negatives of each choice.
        match_width: Negatives are among the so many items next to the choice in popularity.
        held_out: Share of the users of validation, and of test.
        knowledge: A store that `xrec embed` wrote: the test reports text-kNN on it beside the head.
        seed: Seed of the split, of the choices and of the negatives.

    Raises:
        InputError: If the data have no such labels, the prompt does not fit them, or there are not
            so many shots.
    """

    def __init__(
        self,
        dataset: Path,
        model: str,
        prompt: PromptConfig | None = None,
        labels: LabelConfig | None = None,
        batch_size: int = 64,
        train_prompts: int = 4096,
        eval_prompts: int = 1024,
        shots: int | None = None,
        negatives: int = 1,
        match_width: int = 64,
        held_out: float = 0.1,
        knowledge: Path | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.prepared = Prepared.open(locate(dataset))
        self.model = model
        self.prompt = prompt or PromptConfig()
        self.labels = labels or EVERYTHING
        self.batch_size = batch_size
        self.train_prompts = train_prompts
        self.eval_prompts = eval_prompts
        self.shots = shots
        self.match_width = match_width
        self.held_out = held_out
        self.store = None if knowledge is None else KnowledgeStore.open(knowledge)
        self.seed = seed
        refuse_bad_labels(self.prepared, self.labels)
        self.asks_ratings = self.labels.answer == "rating"
        self.group_size = 1 if self.asks_ratings else 1 + negatives
        if negatives < 1:
            raise InputError(f"{_KEY}.negatives: {negatives}: a choice is told from at least one")
        if shots is not None and (shots < self.group_size or self.group_size > 2 or shots % 2):
            raise InputError(
                f"{_KEY}.shots: {shots} with {negatives} negatives of a choice: shots are half "
                "choices, half negatives; give an even number of shots and 1 negative"
            )

    @cached_property
    def users(self) -> dict[str, NDArray[np.bool_]]:
        """Which users are of each split."""
        return split_users(len(self.prepared.users()), self.held_out, self.seed)

    @cached_property
    def bias(self) -> RatingBias | None:
        """What the training ratings tell without any text, where ratings are asked for."""
        if not self.asks_ratings:
            return None
        return RatingBias.fit(self.prepared, self.users[TRAIN])

    @cached_property
    def catalog(self) -> Catalog:
        """What the data knows and the module needs."""
        return read_catalog(self.prepared)._replace(
            prompt_texts=2 if self.prompt.template is None else 1,
            ratings=None if self.bias is None else self.bias.scale,
            references=BIAS if self.asks_ratings else TEXT_KNN if self.store is not None else (),
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
        if not hasattr(self, "train_set"):
            self._make_sets()
        if stage == "fit" and (self.trainer is None or self.trainer.is_global_zero):
            logger.info("a prompt of %d:\n%s", len(self.train_set.examples.labels), self.example())

    def example(self) -> str:
        """Return a whole training prompt with its answer, for people."""
        if not hasattr(self, "train_set"):
            self._make_sets()
        return self.train_set.example()

    def _make_sets(self) -> None:
        train = training_choices(self.prepared, self.users[TRAIN], self.labels)
        if len(train.labels) == 0:
            raise InputError(
                f"{_KEY}.labels: {self.labels}: no training event of {self.prepared.folder} is a "
                "choice and has a strictly earlier event; ask less of a choice"
            )
        texts = PromptTexts(self.prepared, self.model, self.prompt, f"{_KEY}.prompt")
        negatives = None
        if not self.asks_ratings:
            negatives = MatchedNegatives(self.prepared, self.match_width)
        share = self.labels.dislike_share
        disliked = DislikedItems(self.prepared, share) if share > 0 else None
        count = self.train_prompts if self.shots is None else self.shots
        examples = self._draw(train, count, negatives, disliked)
        if self.shots is not None and len(examples.labels) < self.shots:
            raise InputError(
                f"{_KEY}.shots: {self.shots}: the data give {len(examples.labels)} training "
                "prompts; ask for fewer"
            )
        if len(examples.labels) == 0:
            raise InputError(
                f"{_KEY}.negatives: {self.group_size - 1}: no user has left so many items untaken "
                f"of the {self.match_width} next to a choice; ask for fewer or raise `match_width`"
            )
        self.train_set = self._prompts(examples, texts)
        self.val_set, self.test_set = (
            self._evaluated(split, texts, negatives) for split in (VAL, TEST)
        )

    def _evaluated(
        self, split: str, texts: PromptTexts, negatives: MatchedNegatives | None
    ) -> PromptSet:
        """Return the prompts of the targets of a split."""
        choices = target_choices(self.prepared, split, self.users[split], self.labels)
        examples = self._draw(choices, self.eval_prompts, negatives)
        return self._prompts(examples, texts, self._refer(examples))

    def _draw(
        self,
        choices: Examples,
        count: int,
        negatives: MatchedNegatives | None,
        disliked: DislikedItems | None = None,
    ) -> Examples:
        """Return at most ``count`` examples: seeded choices, with their negatives if any."""
        order = np.random.default_rng(self.seed).permutation(len(choices.labels))
        if negatives is None:
            return choices.select(order[:count])
        groups = count // self.group_size
        return add_negatives(
            choices.select(order), negatives, self.seed, disliked, self.group_size - 1, groups
        )

    def _refer(self, examples: Examples) -> NDArray[np.floating] | None:
        """Return what models say of examples that are not trained, as the catalog names them."""
        if self.bias is not None:
            return self.bias.predict(examples, self.prepared)
        if self.store is not None:
            return text_knn_scores(examples, self.prepared, self.store)
        return None

    def _prompts(
        self,
        examples: Examples,
        texts: PromptTexts,
        references: NDArray[np.floating] | None = None,
    ) -> PromptSet:
        return PromptSet(
            examples, texts.encode(examples), texts.padding, self.group_size, references
        )

    @override
    def train_dataloader(self) -> DataLoader[AnyPromptBatch]:
        return loader_shuffled(self.train_set, self._groups, self.seed)

    @override
    def val_dataloader(self) -> DataLoader[AnyPromptBatch]:
        return loader_in_order(self.val_set, self._groups, self.trainer)

    @override
    def test_dataloader(self) -> DataLoader[AnyPromptBatch]:
        return loader_in_order(self.test_set, self._groups, self.trainer)

    @override
    def predict_dataloader(self) -> DataLoader[AnyPromptBatch]:
        return loader_in_order(self.test_set, self._groups, self.trainer)

    @property
    def _groups(self) -> int:
        """Groups of a batch."""
        return max(1, self.batch_size // self.group_size)
