from typing import Any

import pytest
from torch import Tensor

from xrec_lightning.models.language.tower import LanguageTower, TowerConfig
from xrec_lightning.modules.tasks.base import Task


class Silent(Task):
    """A task that says nothing."""

    def loss(self, tower: LanguageTower, batch: Any) -> Tensor:
        raise NotImplementedError

    def evaluate(self, tower: LanguageTower, batch: Any) -> None:
        """Forget the batch."""

    def report(self, *, detailed: bool) -> dict[str, Tensor]:
        return {}


def test_a_task_without_predictions_says_what_to_run_instead(tiny_language: str) -> None:
    task = Silent()
    assert task.watched() == {}
    with pytest.raises(NotImplementedError, match="Silent predicts nothing; run `xrec test`, or"):
        task.predict(TowerConfig(model=tiny_language).build(), None)
