"""What tasks on prompts share: their vectors, and what is known without a head."""

from collections.abc import Iterator
from typing import cast

from torch import Tensor, nn

from xrec_lightning.batches import Catalog, JointPromptBatch, PromptBatch
from xrec_lightning.metrics.binary import AreaUnderCurve
from xrec_lightning.models.heads.click import ClickConfig, ClickHeadConfig, JointClickConfig
from xrec_lightning.models.language.tower import LanguageTower

AnyPromptBatch = PromptBatch | JointPromptBatch


def prompt_vectors(tower: LanguageTower, batch: AnyPromptBatch) -> tuple[Tensor, ...]:
    """Return the vectors of the texts of prompts: history and candidate, or the one text.

    Each has shape ``(B, D)``.
    """
    if isinstance(batch, JointPromptBatch):
        return (tower(batch.prompt),)
    return tower(batch.history), tower(batch.candidate)


def refuse_ratings(catalog: Catalog) -> None:
    """Raise where the prompts of the data ask for ratings instead of choices.

    Raises:
        ValueError: It says so.
    """
    if catalog.ratings is not None:
        raise ValueError(
            "this task learns choices, and the prompts ask for ratings: set "
            "data.init_args.labels.answer to choice, or take RatingTaskConfig"
        )


def choice_head(head: ClickHeadConfig | None, catalog: Catalog) -> ClickHeadConfig:
    """Return a head, or the one that fits the prompts of the data where none is given.

    Raises:
        ValueError: If the head does not fit the prompts.
    """
    if head is None:
        return JointClickConfig() if catalog.prompt_texts == 1 else ClickConfig()
    if head.texts != catalog.prompt_texts:
        raise ValueError(
            f"{type(head).__name__} reads prompts of {head.texts} texts, and those of the data "
            f"have {catalog.prompt_texts}: leave `head` out, or change the template of the data"
        )
    return head


class ReferenceAreas(nn.Module):
    """AUC of what needs no head: popularity, and what the data say of text-kNN.

    Args:
        catalog: What the data knows.
    """

    train_counts: Tensor

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()
        self.register_buffer("train_counts", catalog.train_counts, persistent=False)
        self.names = ("popularity", *catalog.references)
        self.areas = nn.ModuleList(AreaUnderCurve(catalog.domains) for _ in self.names)

    def update(self, batch: AnyPromptBatch) -> None:
        """Add a batch."""
        columns: list[Tensor] = [self.train_counts[batch.item_ids]]
        if batch.references is not None:
            columns += batch.references.unbind(dim=1)
        for area, scores in zip(self._areas(), columns, strict=True):
            area.update(scores, batch.labels, batch.domain_ids)

    def compute(self) -> dict[str, Tensor]:
        """Return ``auc_popularity`` and the like, those of a domain as ``…/DOMAIN``."""
        return {
            f"auc_{name}{suffix}": value
            for name, area in zip(self.names, self._areas(), strict=True)
            for suffix, value in area.compute().items()
        }

    def reset(self) -> None:
        """Forget all batches."""
        for area in self._areas():
            area.reset()

    def _areas(self) -> Iterator[AreaUnderCurve]:
        return (cast("AreaUnderCurve", area) for area in self.areas)
