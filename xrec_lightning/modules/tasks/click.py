"""The task "history and candidate as texts, to the probability of a choice"."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.models.heads.click import ClickConfig
from xrec_lightning.models.language.tower import LanguageTower
from xrec_lightning.modules.tasks.base import TaskConfig
from xrec_lightning.modules.tasks.choice import ChoiceTask
from xrec_lightning.modules.tasks.prompts import AnyPromptBatch, prompt_vectors


@dataclass(frozen=True, kw_only=True)
class ClickTaskConfig(TaskConfig):
    """Predict whether a user chooses a candidate, by binary cross-entropy."""

    head: ClickConfig = field(default_factory=ClickConfig)
    """The classifier on the vectors of history and candidate."""

    @override
    def build(self, tower: LanguageTower, catalog: Catalog) -> "ClickTask":
        return ClickTask(self, tower, catalog)


torch.serialization.add_safe_globals([ClickTaskConfig])


class ClickTask(ChoiceTask):
    """A classifier on the vectors of history and candidate."""

    def __init__(self, config: ClickTaskConfig, tower: LanguageTower, catalog: Catalog) -> None:
        super().__init__(catalog)
        self.head = config.head.build(tower.dim)

    @override
    def forward(self, tower: LanguageTower, batch: AnyPromptBatch) -> Tensor:
        return self.head(*prompt_vectors(tower, batch))
