"""Tokenized prompts with their answers, a batch at a time."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from xrec_lightning.batches import JointPromptBatch, PromptBatch
from xrec_lightning.data.text.clicks import Examples
from xrec_lightning.data.text.prompt_texts import EncodedPrompts

AnyPromptBatch = PromptBatch | JointPromptBatch
_Rest = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None]


class PromptSet(Dataset[AnyPromptBatch]):
    """Groups of prompts: a choice and its negatives, or a rating.

    Args:
        examples: What the prompts are of, group by group.
        prompts: Their texts and tokens.
        padding: The padding token.
        group_size: Prompts of a group.
        references: What models say of them that are not trained, shape ``(E, R)``.
    """

    def __init__(
        self,
        examples: Examples,
        prompts: EncodedPrompts,
        padding: int,
        group_size: int,
        references: NDArray[np.floating] | None = None,
    ) -> None:
        self.examples = examples
        self.prompts = prompts
        self.padding = padding
        self.group_size = group_size
        self.references = references

    def __len__(self) -> int:
        return len(self.examples.labels) // self.group_size

    def __getitems__(self, groups: Sequence[int]) -> AnyPromptBatch:
        """Return the prompts of ``groups``."""
        index = np.asarray(groups)[:, None] * self.group_size + np.arange(self.group_size)
        rows = index.reshape(-1)
        texts = [tokens.batch(rows, self.padding) for tokens in self.prompts.tokens]
        rest = self._rest(rows)
        if len(texts) == 1:
            return JointPromptBatch(texts[0], *rest)
        return PromptBatch(texts[0], texts[1], *rest)

    def _rest(self, rows: NDArray[np.integer]) -> _Rest:
        """Return all but the texts of a batch."""
        examples = self.examples.select(rows)
        user_ids, item_ids, domain_ids, group_ids = (
            torch.from_numpy(ids.astype(np.int64))
            for ids in (
                examples.user_ids,
                examples.item_ids,
                examples.domain_ids,
                rows // self.group_size,
            )
        )
        labels = torch.from_numpy(examples.labels)
        references = None if self.references is None else torch.from_numpy(self.references[rows])
        return labels, user_ids, item_ids, domain_ids, group_ids, references

    def example(self) -> str:
        """Return the first prompt and its answer, for people."""
        texts = [each[0] for each in self.prompts.texts]
        said = texts[0] if len(texts) == 1 else "history: {}\ncandidate: {}".format(*texts)
        return f"{said}\nanswer: {self.examples.labels[0]:g}"
