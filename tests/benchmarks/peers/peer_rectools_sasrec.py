"""SASRec of RecTools. `python peer_rectools_sasrec.py train|rank CSV`.

Its feed-forward is as wide as its states, a quarter of all others', and cannot be set.
Environment: as `peer_rectools.py`.
"""

import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from measure import measured
from pace import (
    BATCH_SIZE,
    BLOCKS,
    DROPOUT,
    HEADS,
    LENGTH,
    RANKED_AT_ONCE,
    STEPS,
    TOP_K,
    WARM_UP,
    WIDTH,
    Ticks,
    rank_often,
)
from pytorch_lightning import Callback, Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

TICKS = Ticks()


class TickCallback(Callback):
    """Note the targets of each step."""

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        TICKS.note(int((batch["y"] > 0).sum()))


def make_trainer(steps: int = WARM_UP + STEPS) -> Trainer:
    """Return a trainer of a few steps that writes nothing."""
    return Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[TickCallback()],
    )


def figures(kind: str, source: Path) -> dict[str, float]:
    """Return the pace of one kind."""
    names = {"user_id": Columns.User, "item_id": Columns.Item, "timestamp": Columns.Datetime}
    interactions = pd.read_csv(source, usecols=list(names)).rename(columns=names)
    interactions[Columns.Datetime] = pd.to_datetime(interactions[Columns.Datetime], unit="s")
    interactions[Columns.Weight] = 1
    dataset = Dataset.construct(interactions)
    is_training = kind == "train"
    model = SASRecModel(
        n_blocks=BLOCKS,
        n_heads=HEADS,
        n_factors=WIDTH,
        session_max_len=LENGTH,
        batch_size=BATCH_SIZE,
        dropout_rate=DROPOUT,
        loss="softmax" if is_training else "sampled_softmax",
        recommend_batch_size=RANKED_AT_ONCE,
        get_trainer_func=make_trainer,
        get_trainer_func_kwargs={} if is_training else {"steps": 1},
    )
    model.fit(dataset)
    if is_training:
        return {"rate": TICKS.rate()}
    users = interactions[Columns.User].unique()

    def call() -> Any:
        found = model.recommend(users, dataset, k=TOP_K, filter_viewed=True)
        return found[Columns.User].unique()

    return rank_often(call)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with measured("rectools", "pandas", "torch") as facts:
        facts |= figures(sys.argv[1], Path(sys.argv[2]))
