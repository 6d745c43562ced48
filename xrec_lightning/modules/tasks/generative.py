"""The task "a prompt, to the yes or no that a causal model goes on with"."""

from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog, JointPromptBatch
from xrec_lightning.models.heads.generative import GenerativeConfig
from xrec_lightning.models.language.causal import answer_tokens
from xrec_lightning.models.language.tower import LanguageTower
from xrec_lightning.modules.tasks.base import TaskConfig
from xrec_lightning.modules.tasks.choice import ChoiceTask
from xrec_lightning.modules.tasks.prompts import AnyPromptBatch


@dataclass(frozen=True, kw_only=True)
class GenerativeTaskConfig(TaskConfig):
    """Predict whether a user chooses a candidate by the answer of a causal model to a prompt."""

    head: GenerativeConfig = field(default_factory=GenerativeConfig)
    """The answers."""

    @override
    def build(self, tower: LanguageTower, catalog: Catalog) -> "GenerativeTask":
        """Return the task.

        Raises:
            ValueError: If the tower predicts no tokens, the prompts are two texts, or an answer
                is not one token.
        """
        if not tower.has_language_head:
            raise ValueError(
                f"a generative task needs the head of {tower.model_name}: set "
                "model.init_args.tower.language_head to true, and name a causal model"
            )
        if catalog.prompt_texts != 1:
            raise ValueError(
                "a generative task answers one text of history and candidate, and the data give "
                "two: set data.init_args.prompt.template"
            )
        return GenerativeTask(self, tower, catalog)


torch.serialization.add_safe_globals([GenerativeTaskConfig])


class GenerativeTask(ChoiceTask):
    """Cross-entropy of the answers; without training, what the model knows by itself."""

    def __init__(
        self, config: GenerativeTaskConfig, tower: LanguageTower, catalog: Catalog
    ) -> None:
        super().__init__(catalog)
        yes, no = answer_tokens(tower.model_name, [config.head.yes, config.head.no])
        self.head = config.head.build(yes, no)

    @override
    def forward(self, tower: LanguageTower, batch: AnyPromptBatch) -> Tensor:
        return self.head(self._next_token_logits(tower, batch))

    @override
    def loss(self, tower: LanguageTower, batch: AnyPromptBatch) -> Tensor:
        return self.head.loss(self._next_token_logits(tower, batch), batch.labels)

    def _next_token_logits(self, tower: LanguageTower, batch: AnyPromptBatch) -> Tensor:
        return tower.next_token_logits(cast("JointPromptBatch", batch).prompt)
