"""The task "history and candidates as text, with the choice above its negatives"."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torchmetrics import MeanMetric
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.metrics.binary import AreaUnderCurve
from xrec_lightning.metrics.pairwise import PairwiseAccuracy
from xrec_lightning.metrics.ranking import NDCG
from xrec_lightning.metrics.sliced import SlicedRankMetrics
from xrec_lightning.models.heads.click import ClickHeadConfig
from xrec_lightning.models.heads.ranking import PairwiseConfig
from xrec_lightning.models.language.tower import LanguageTower
from xrec_lightning.modules.tasks.base import Task, TaskConfig
from xrec_lightning.modules.tasks.prompts import (
    AnyPromptBatch,
    ReferenceAreas,
    choice_head,
    prompt_vectors,
    refuse_ratings,
)
from xrec_lightning.predictions import CandidateScores


@dataclass(frozen=True, kw_only=True)
class RankingTaskConfig(TaskConfig):
    """Put what a user chose above the negatives of the same prompt, by a loss of pairs."""

    head: ClickHeadConfig | None = None
    """What makes of the vectors of a prompt a score; by default as for `ClickTaskConfig`."""
    pairwise: PairwiseConfig = field(default_factory=PairwiseConfig)
    """The loss of a pair."""
    top_k: int = 10
    """Cut-off of the NDCG of the choice among itself and its negatives."""

    @override
    def build(self, tower: LanguageTower, catalog: Catalog) -> "RankingTask":
        return RankingTask(self, tower, catalog)


torch.serialization.add_safe_globals([RankingTaskConfig])


class RankingTask(Task):
    """A loss of pairs of a choice and a negative.

    Args:
        config: Head and loss.
        tower: The language model.
        catalog: What the data knows.

    Raises:
        ValueError: If the data ask for ratings, or head and loss do not fit.
    """

    def __init__(self, config: RankingTaskConfig, tower: LanguageTower, catalog: Catalog) -> None:
        super().__init__()
        refuse_ratings(catalog)
        self.head = choice_head(config.head, catalog).build(tower.dim)
        self.pairwise = config.pairwise.build()
        self.mean_loss = MeanMetric()
        self.accuracy = PairwiseAccuracy(catalog.domains)
        self.area = AreaUnderCurve(catalog.domains)
        self.ranks = SlicedRankMetrics([NDCG(config.top_k)], catalog.domains)
        self.num_domains = len(catalog.domains)
        self.references = ReferenceAreas(catalog)

    @override
    def forward(self, tower: LanguageTower, batch: AnyPromptBatch) -> Tensor:
        """Return the scores of candidates, shape ``(B,)``."""
        return self.head(*prompt_vectors(tower, batch))

    @override
    def loss(self, tower: LanguageTower, batch: AnyPromptBatch) -> Tensor:
        scores = self(tower, batch)
        chosen, other = pairs_of_groups(batch)
        return self.pairwise(scores[chosen] - scores[other])

    @override
    def evaluate(self, tower: LanguageTower, batch: AnyPromptBatch) -> None:
        scores = self(tower, batch)
        chosen, other = pairs_of_groups(batch)
        differences = scores[chosen] - scores[other]
        self.mean_loss.update(self.pairwise(differences), weight=len(differences))
        self.accuracy.update(differences, batch.domain_ids[chosen])
        self.area.update(scores, batch.labels, batch.domain_ids)
        self.references.update(batch)
        # Ties count against the model.
        ranks = torch.ones_like(batch.user_ids).index_add(0, chosen, (differences <= 0).long())
        is_choice = batch.labels > 0
        domains = torch.arange(1, self.num_domains + 1, device=ranks.device)
        self.ranks.update(ranks[is_choice], batch.domain_ids[is_choice, None] == domains)

    @override
    def report(self, *, detailed: bool) -> dict[str, Tensor]:
        figures = {"loss": self.mean_loss.compute(), **self.accuracy.compute()}
        figures |= {f"auc{suffix}": value for suffix, value in self.area.compute().items()}
        figures |= self.ranks.compute()
        if detailed:
            figures |= self.references.compute()
        for metric in (self.mean_loss, self.accuracy, self.area, self.ranks, self.references):
            metric.reset()
        return {name: value for name, value in figures.items() if detailed or "/" not in name}

    @override
    def predict(self, tower: LanguageTower, batch: AnyPromptBatch) -> CandidateScores:
        scores = self(tower, batch)
        return CandidateScores(batch.user_ids, batch.item_ids, batch.domain_ids, scores)


def pairs_of_groups(batch: AnyPromptBatch) -> tuple[Tensor, Tensor]:
    """Return the rows of each choice and negative of one group, shape ``(P,)`` each."""
    is_together = batch.group_ids[:, None] == batch.group_ids
    is_choice = batch.labels > 0
    chosen, other = (is_together & is_choice[:, None] & ~is_choice).nonzero(as_tuple=True)
    return chosen, other
