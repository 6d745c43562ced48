"""The task "history and candidate as text, to the user's rating"."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.metrics.regression import RegressionReport
from xrec_lightning.models.heads.rating import RatingConfig
from xrec_lightning.models.language.tower import LanguageTower
from xrec_lightning.modules.tasks.base import Task, TaskConfig
from xrec_lightning.modules.tasks.prompts import AnyPromptBatch, prompt_vectors
from xrec_lightning.predictions import RatingPredictions


@dataclass(frozen=True, kw_only=True)
class RatingTaskConfig(TaskConfig):
    """Predict how a user rates a candidate, by the mean squared error of standardized ratings."""

    head: RatingConfig = field(default_factory=RatingConfig)
    """What makes of the vectors of a prompt a rating."""

    @override
    def build(self, tower: LanguageTower, catalog: Catalog) -> "RatingTask":
        """Return the task.

        Raises:
            ValueError: If the prompts of the data do not ask for ratings.
        """
        if catalog.ratings is None:
            raise ValueError(
                "RatingTaskConfig learns ratings, and the prompts of the data ask for choices: set "
                "data.init_args.labels.answer to rating"
            )
        return RatingTask(self, tower, catalog)


torch.serialization.add_safe_globals([RatingTaskConfig])


class RatingTask(Task):
    """Mean squared error of ratings.

    The figures are in the units of the data, but for the loss. The test reports the error of saying
    the mean of the training ratings, and of adding to it what is known of item and user, beside
    that of the head.
    """

    def __init__(self, config: RatingTaskConfig, tower: LanguageTower, catalog: Catalog) -> None:
        super().__init__()
        assert catalog.ratings is not None  # `build` told the user
        self.scale = catalog.ratings
        self.head = config.head.build(tower.dim, catalog.prompt_texts)
        self.metrics = RegressionReport(catalog.domains)
        self.references = nn.ModuleDict(
            {name: RegressionReport(catalog.domains) for name in ("mean", *catalog.references)}
        )

    @override
    def forward(self, tower: LanguageTower, batch: AnyPromptBatch) -> Tensor:
        """Return ratings in the units of the data, shape ``(B,)``."""
        standardized = self.head(*prompt_vectors(tower, batch))
        return self.scale.mean + self.scale.deviation * standardized

    @override
    def loss(self, tower: LanguageTower, batch: AnyPromptBatch) -> Tensor:
        return functional.mse_loss(self(tower, batch), batch.labels) / self.scale.deviation**2

    @override
    def evaluate(self, tower: LanguageTower, batch: AnyPromptBatch) -> None:
        self.metrics.update(self(tower, batch), batch.labels, batch.domain_ids)
        columns: list[Tensor] = [torch.full_like(batch.labels, self.scale.mean)]
        if batch.references is not None:
            columns += batch.references.unbind(dim=1)
        for (_, report), predicted in zip(self._references(), columns, strict=True):
            report.update(predicted, batch.labels, batch.domain_ids)

    @override
    def report(self, *, detailed: bool) -> dict[str, Tensor]:
        figures = self.metrics.compute()
        figures["loss"] = (figures["rmse"] / self.scale.deviation).square()
        self.metrics.reset()
        for name, report in self._references():
            errors = report.compute().items()
            report.reset()
            if detailed:
                figures |= {
                    k.replace("rmse", f"rmse_{name}", 1): v
                    for k, v in errors
                    if k.startswith("rmse")
                }
        return {name: value for name, value in figures.items() if detailed or "/" not in name}

    def _references(self) -> Iterator[tuple[str, RegressionReport]]:
        """Yield what needs no head, by name."""
        for name, report in self.references.items():
            yield name, cast("RegressionReport", report)

    @override
    def predict(self, tower: LanguageTower, batch: AnyPromptBatch) -> RatingPredictions:
        ratings = self(tower, batch)
        return RatingPredictions(batch.user_ids, batch.item_ids, batch.domain_ids, ratings)
