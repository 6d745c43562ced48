"""The task "the text of what a user chose is near those of what the user chose before"."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from xrec_lightning.batches import Catalog, ItemTextBatch, NextItemBatch, WeightedTargets
from xrec_lightning.metrics.next_item import NextItemRetrieval
from xrec_lightning.models.adversarial import AdversaryConfig
from xrec_lightning.models.heads.contrastive import Contrast, ContrastiveConfig, across_ranks
from xrec_lightning.models.language.chunks import encode_in_chunks
from xrec_lightning.models.language.tower import LanguageTower
from xrec_lightning.modules.tasks.base import Task, TaskConfig


@dataclass(frozen=True, kw_only=True)
class NextItemTaskConfig(TaskConfig):
    """Draw the vector of a history to that of the next item; validated by ranking all items."""

    head: ContrastiveConfig = field(default_factory=ContrastiveConfig)
    """The contrastive loss."""
    chunk_size: int | None = None
    """Texts whose activations are kept at once, which lets large batches fit at the price of a
    second forward pass; by default all."""
    across_ranks: bool = True
    """Whether the targets of all processes are negatives of each other."""
    domain_adversary: AdversaryConfig | None = None
    """Teach the tower to hide the domain of a text; best on batches of several domains."""
    domain_probe: bool = True
    """Whether evaluation tells how well a linear probe finds the domain of a vector."""

    @override
    def build(self, tower: LanguageTower, catalog: Catalog) -> "NextItemTask":
        return NextItemTask(self, tower, catalog)


torch.serialization.add_safe_globals([NextItemTaskConfig])


class NextItemTask(Task):
    """InfoNCE between weighted means of histories and the items that followed.

    A history's vector is the weighted mean of its items' vectors of length 1: what a text-kNN
    baseline compares with, so that training and evaluation see the same. Evaluation wants the
    items of all processes before it reports; see `NextItemRetrieval`.
    """

    def __init__(self, config: NextItemTaskConfig, tower: LanguageTower, catalog: Catalog) -> None:
        super().__init__()
        self.chunk_size = config.chunk_size
        self.across_ranks = config.across_ranks
        self.head = config.head.build()
        self.retrieval = NextItemRetrieval(catalog, probe=config.domain_probe)
        adversary = config.domain_adversary
        self.adversary = (
            None if adversary is None else adversary.build(tower.dim, len(catalog.domains))
        )
        self.adversary_loss: Tensor | None = None

    @override
    def loss(self, tower: LanguageTower, batch: NextItemBatch) -> Tensor:
        vectors = functional.normalize(encode_in_chunks(tower, batch.texts, self.chunk_size), dim=1)
        # A matrix of the weights adds gradients in one order, which an index would not.
        mixing = vectors.new_zeros(len(batch.history_rows), len(vectors))
        mixing.scatter_add_(1, batch.history_rows, batch.history_weights.to(vectors.dtype))
        choice = functional.one_hot(batch.target_rows, len(vectors)).to(vectors.dtype)
        pairs = mixing @ vectors, choice @ vectors, _contrast(batch)
        loss: Tensor = self.head(*(across_ranks(*pairs) if self.across_ranks else pairs))
        if self.adversary is None:
            return loss
        told = self.adversary(vectors, batch.text_domain_ids)
        self.adversary_loss = told.detach()
        return loss + told

    @override
    def evaluate(self, tower: LanguageTower, batch: ItemTextBatch | WeightedTargets) -> None:
        if isinstance(batch, ItemTextBatch):
            self.retrieval.add_items(tower(batch.texts), batch)
        else:
            self.retrieval.add_targets(batch)

    @override
    def report(self, *, detailed: bool) -> dict[str, Tensor]:
        figures = self.retrieval.compute(self.head.temperature.item())
        self.retrieval.reset()
        return {name: value for name, value in figures.items() if detailed or "/" not in name}

    @override
    def follow(self, progress: float) -> None:
        if self.adversary is not None:
            self.adversary.follow(progress)

    @override
    def watched(self) -> dict[str, Tensor]:
        watched = {"temperature": self.head.temperature}
        if self.adversary is not None and self.adversary_loss is not None:
            watched["adversary_loss"] = self.adversary_loss
            watched["adversary_strength"] = torch.tensor(self.adversary.current)
        return watched


def _contrast(batch: NextItemBatch) -> Contrast:
    return Contrast(
        key_ids=batch.target_ids,
        seen_ids=batch.seen_ids,
        user_ids=batch.user_ids,
        domain_ids=batch.target_domain_ids,
        key_log_q=batch.target_log_q,
    )
