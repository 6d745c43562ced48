"""Prompts of one text or of two, to vectors."""

from torch import Tensor

from xrec_lightning.batches import JointPromptBatch, PromptBatch
from xrec_lightning.models.language.tower import LanguageTower

AnyPromptBatch = PromptBatch | JointPromptBatch


def prompt_vectors(tower: LanguageTower, batch: AnyPromptBatch) -> tuple[Tensor, ...]:
    """Return the vectors of the texts of prompts: history and candidate, or the one text.

    Each has shape ``(B, D)``.
    """
    if isinstance(batch, JointPromptBatch):
        return (tower(batch.prompt),)
    return tower(batch.history), tower(batch.candidate)
