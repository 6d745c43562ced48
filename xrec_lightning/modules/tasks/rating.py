"""The task "history and candidate as text, to the user's rating"."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from xrec_lightning.batches import Catalog, RatingPredictions
from xrec_lightning.metrics.regression import RegressionReport
from xrec_lightning.models.heads.rating import RatingConfig
from xrec_lightning.models.language.tower import LanguageTower
from xrec_lightning.modules.tasks.base import Task, TaskConfig
from xrec_lightning.modules.tasks.prompts import AnyPromptBatch, prompt_vectors


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
        self.mean = RegressionReport(catalog.domains)
        self.bias = RegressionReport(catalog.domains)

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
        mean = torch.full_like(batch.labels, self.scale.mean)
        self.mean.update(mean, batch.labels, batch.domain_ids)
        if batch.reference is not None:
            self.bias.update(batch.reference, batch.labels, batch.domain_ids)

    @override
    def report(self, *, detailed: bool) -> dict[str, Tensor]:
        figures = self.metrics.compute()
        figures["loss"] = (figures["rmse"] / self.scale.deviation).square()
        for name, report in {"rmse_mean": self.mean, "rmse_bias": self.bias}.items():
            if detailed and report.update_called:
                errors = report.compute().items()
                figures |= {k.replace("rmse", name): v for k, v in errors if "rmse" in k}
        for report in (self.metrics, self.mean, self.bias):
            report.reset()
        return {name: value for name, value in figures.items() if detailed or "/" not in name}

    @override
    def predict(self, tower: LanguageTower, batch: AnyPromptBatch) -> RatingPredictions:
        ratings = self(tower, batch)
        return RatingPredictions(batch.user_ids, batch.item_ids, batch.domain_ids, ratings)
