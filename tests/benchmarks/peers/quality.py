"""NDCG@10 of any model on our split, for scripts of any environment: numpy and torch only."""

import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

LENGTH = 50
_TOP_K = 10
_ROWS = 512
_UNKNOWN = -1e30

Scorer = Callable[[Tensor], Tensor]
"""Histories of the model's item numbers, left-padded, ``(B, L)``, to scores of its items."""


class Targets(NamedTuple):
    """What is to be ranked. T targets."""

    histories: np.ndarray
    """Items that each target sees, oldest first, right-padded with 0, ``(T, L)``."""
    seen: np.ndarray
    """Items that are no candidates, right-padded with 0, ``(T, K)``."""
    items: np.ndarray
    """The items to be found, ``(T,)``."""
    domains: np.ndarray
    """Their domains, whose items are the candidates, ``(T,)``."""
    slices: np.ndarray
    """Membership in each of `Split.slices`, ``(T, S)``."""


class Split(NamedTuple):
    """What `export_split.py` wrote. Items count from 1; E training events, N items, D domains."""

    train_users: np.ndarray
    """Users of the training events, ``(E,)``; those of one user follow one another in time."""
    train_items: np.ndarray
    """Their items, ``(E,)``."""
    is_candidate: np.ndarray
    """Whether an item is of a domain, ``(D + 1, N + 1)``."""
    slices: list[str]
    val: Targets
    test: Targets

    @classmethod
    def read(cls, path: Path) -> "Split":
        """Return the split in a file."""
        with np.load(path) as arrays:
            splits = {
                split: Targets(*(arrays[f"{split}_{name}"] for name in Targets._fields))
                for split in ("val", "test")
            }
            names = ("train_users", "train_items", "is_candidate")
            tables = {name: arrays[name] for name in names}
            return cls(**tables, slices=arrays["slices"].tolist(), **splits)


class Ranking:
    """Rank the targets of a split by a model that knows the items of training alone.

    Args:
        split: The split.
        item_ids: Our item of each of the model's scores, in the order of the scores.
        numbers: The model's number of each of those items in histories.
        padding: The number that pads histories.
    """

    def __init__(
        self, split: Split, item_ids: np.ndarray, numbers: np.ndarray, padding: int
    ) -> None:
        self.split = split
        self.item_ids = torch.from_numpy(item_ids.astype(np.int64))
        self.padding = padding
        self.number_of = np.full(split.is_candidate.shape[1], -1)
        self.number_of[item_ids] = numbers

    def ndcg(self, targets: Targets, score: Scorer) -> dict[str, float]:
        """Return NDCG@10 of all targets and of each slice."""
        ranks = np.concatenate(
            [
                self._ranks(Targets(*(part[start : start + _ROWS] for part in targets)), score)
                for start in range(0, len(targets.items), _ROWS)
            ]
        )
        gains = np.where(ranks <= _TOP_K, 1 / np.log2(1 + ranks), 0.0)
        masks = zip(self.split.slices, targets.slices.T, strict=True)
        return {"all": gains.mean().item()} | {
            name: gains[mask].mean().item() for name, mask in masks if mask.any()
        }

    @torch.inference_mode()
    def _ranks(self, targets: Targets, score: Scorer) -> np.ndarray:
        """Return 1-based ranks; ties count against the model, and what it does not know is last."""
        scores = torch.full((len(targets.items), len(self.number_of)), _UNKNOWN)
        scores[:, self.item_ids] = score(self._inputs(targets.histories))
        is_candidate = torch.from_numpy(self.split.is_candidate[targets.domains])
        is_candidate.scatter_(1, torch.from_numpy(targets.seen), value=False)
        wanted = scores.gather(1, torch.from_numpy(targets.items)[:, None])
        return ((scores >= wanted) & is_candidate).sum(1).numpy()

    def _inputs(self, histories: np.ndarray) -> Tensor:
        """Return histories as the model reads them: its numbers, left-padded, others left out."""
        rows = np.full((len(histories), LENGTH), self.padding)
        for row, history in zip(rows, histories, strict=True):
            numbers = self.number_of[history[history > 0]]
            numbers = numbers[numbers >= 0][-LENGTH:]
            row[LENGTH - len(numbers) :] = numbers
        return torch.from_numpy(rows)


class BestEpoch:
    """The weights of the epoch that validates best.

    Args:
        ranking: Ranks the validation targets.
        every: Epochs between validations.
        patience: Validations without a better one after which training should stop.
    """

    def __init__(self, ranking: Ranking, every: int = 2, patience: int = 3) -> None:
        self.ranking, self.every, self.patience = ranking, every, patience
        self.figures: list[dict[str, float]] = []
        self.weights: dict[str, Tensor] = {}
        self.seconds = 0.0
        """CPU time of the validations."""

    @property
    def best(self) -> int:
        """Position of the best in `figures`."""
        return int(np.argmax([figures["all"] for figures in self.figures]))

    @property
    def epochs(self) -> int:
        """Epochs of the best."""
        return (self.best + 1) * self.every

    def check(self, epochs: int, model: nn.Module, score: Scorer) -> bool:
        """Validate after that many epochs if it is time; return whether training should stop."""
        if epochs % self.every:
            return False
        start = time.process_time()
        was_training = model.training
        model.eval()
        self.figures.append(self.ranking.ndcg(self.ranking.split.val, score))
        model.train(was_training)
        self.seconds += time.process_time() - start
        if self.best == len(self.figures) - 1:
            self.weights = deepcopy(model.state_dict())
        figure = self.figures[-1]["all"]
        sys.stderr.write(f"{epochs} epochs, {time.process_time():.0f} CPU s: {figure:.5f}\n")
        return len(self.figures) - 1 - self.best >= self.patience


class Attempt(NamedTuple):
    """A model that was trained with some setting."""

    model: nn.Module
    best: BestEpoch
    score: Scorer


def choose(attempts: dict[float, Attempt]) -> dict[str, object]:
    """Return the setting that validates best, and its figures; only it is tested."""
    bests = {setting: attempt.best for setting, attempt in attempts.items()}
    validated = {setting: best.figures[best.best] for setting, best in bests.items()}
    chosen = max(validated, key=lambda setting: validated[setting]["all"])
    model, best, score = attempts[chosen]
    model.load_state_dict(best.weights)
    model.eval()
    return {
        "tried": {setting: figures["all"] for setting, figures in validated.items()},
        "dropout": chosen,
        "epochs": best.epochs,
        "val": validated[chosen],
        "test": best.ranking.ndcg(best.ranking.split.test, score),
        "validation_cpu_s": sum(each.seconds for each in bests.values()),
    }
