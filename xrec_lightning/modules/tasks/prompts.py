"""What tasks on prompts share: their vectors, and what is known without a head."""

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
    """AUC of what needs no head: popularity, and text-kNN where the data know it.

    Args:
        catalog: What the data knows.
    """

    train_counts: Tensor

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()
        self.register_buffer("train_counts", catalog.train_counts, persistent=False)
        self.popularity = AreaUnderCurve(catalog.domains)
        self.text_knn = AreaUnderCurve(catalog.domains)

    def update(self, batch: AnyPromptBatch) -> None:
        """Add a batch."""
        counts = self.train_counts[batch.item_ids]
        self.popularity.update(counts, batch.labels, batch.domain_ids)
        if batch.reference is not None:
            self.text_knn.update(batch.reference, batch.labels, batch.domain_ids)

    def compute(self) -> dict[str, Tensor]:
        """Return ``auc_popularity`` and ``auc_text_knn``, those of a domain as ``…/DOMAIN``."""
        figures = {f"auc_popularity{k}": v for k, v in self.popularity.compute().items()}
        if self.text_knn.update_called:
            figures |= {f"auc_text_knn{k}": v for k, v in self.text_knn.compute().items()}
        return figures

    def reset(self) -> None:
        """Forget all batches."""
        self.popularity.reset()
        self.text_knn.reset()
