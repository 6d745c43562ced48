"""The task "history and candidate as text, to the probability of a choice"."""

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.models.heads.click import ClickHeadConfig
from xrec_lightning.models.language.tower import LanguageTower
from xrec_lightning.modules.tasks.base import TaskConfig
from xrec_lightning.modules.tasks.choice import ChoiceTask
from xrec_lightning.modules.tasks.prompts import AnyPromptBatch, choice_head, prompt_vectors


@dataclass(frozen=True, kw_only=True)
class ClickTaskConfig(TaskConfig):
    """Predict whether a user chooses a candidate, by binary cross-entropy."""

    head: ClickHeadConfig | None = None
    """What makes of the vectors of a prompt the logit of a choice; by default `ClickConfig` for
    history and candidate as two texts, `JointClickConfig` for prompts of one text."""

    @override
    def build(self, tower: LanguageTower, catalog: Catalog) -> "ClickTask":
        return ClickTask(self, tower, catalog)


torch.serialization.add_safe_globals([ClickTaskConfig])


class ClickTask(ChoiceTask):
    """A classifier on the vectors of prompts."""

    def __init__(self, config: ClickTaskConfig, tower: LanguageTower, catalog: Catalog) -> None:
        super().__init__(catalog)
        self.head = choice_head(config.head, catalog).build(tower.dim)

    @override
    def forward(self, tower: LanguageTower, batch: AnyPromptBatch) -> Tensor:
        return self.head(*prompt_vectors(tower, batch))
