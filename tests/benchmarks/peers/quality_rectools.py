"""RecTools: NDCG@10 of its SASRec on our split. `python quality_rectools.py SPLIT.npz [DROPOUT …]`.

`fit` is its own. Its `recommend` gives lists, not scores, and no domain to a request: targets are
scored by its torch model, `encode_sessions` on the history of each target, as `recommend` does.
The loss is its sampled softmax, but for negatives that are drawn once a batch, and padding left
out: as it stands it takes minutes an epoch on a CPU, as does its softmax over all items.
Environment: `pip install "rectools[torch]==0.19.0"`.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from measure import measured
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from quality import LENGTH, Attempt, BestEpoch, Ranking, Split, choose
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from rectools.models.nn.transformers.lightning import TransformerLightningModule
from rectools.models.nn.transformers.negative_sampler import TransformerNegativeSamplerBase
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

EPOCHS = 40
NUM_NEGATIVES = 1024


class SharedSampler(TransformerNegativeSamplerBase):
    """Draw items uniformly, once for all positions of a batch."""

    @override
    def get_negatives(
        self, batch_dict: dict[str, Tensor], lowest_id: int, highest_id: int, **kwargs: object
    ) -> Tensor:
        return torch.randint(lowest_id, highest_id, (self.n_negatives,))


class SharedNegatives(TransformerLightningModule):
    """Compare each positive with the negatives of its batch, itself left out."""

    @override
    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        item_embeddings = self.torch_model.item_model.get_all_embeddings()
        is_target = batch["y"] != 0
        states = self.torch_model.encode_sessions(batch, item_embeddings)[is_target]
        positives, negatives = batch["y"][is_target][:, None], batch["negatives"]
        positive_logits = (states[:, None] * item_embeddings[positives]).sum(-1)
        logits = states @ item_embeddings[negatives].T
        logits = logits.masked_fill(positives == negatives, float("-inf"))
        return functional.cross_entropy(
            torch.cat([positive_logits, logits], dim=1), positives.new_zeros(len(positives))
        )


def score(module: LightningModule, histories: Tensor) -> Tensor:
    """Return the scores of all items that the model knows, in its order."""
    item_embeddings = module.torch_model.item_model.get_all_embeddings()
    states = module.torch_model.encode_sessions({"x": histories}, item_embeddings)[:, -1]
    return states @ item_embeddings[module.data_preparator.n_item_extra_tokens :].T


def ranking(split: Split, module: LightningModule) -> Ranking:
    """Return the ranking by the items of a model."""
    preparator = module.data_preparator
    numbers = preparator.get_known_items_sorted_internal_ids()
    return Ranking(split, preparator.get_known_item_ids().astype(np.int64), numbers, padding=0)


class Validate(Callback):
    """Keep the best epoch."""

    def __init__(self, split: Split) -> None:
        self.split = split
        self.best: BestEpoch | None = None

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.best = self.best or BestEpoch(ranking(self.split, pl_module))
        scorer = partial(score, pl_module)
        trainer.should_stop = self.best.check(trainer.current_epoch + 1, pl_module, scorer)


def trainer(split: Split) -> Trainer:
    """Return a trainer that validates."""
    return Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        callbacks=[Validate(split)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def fit(split: Split, dropout: float) -> Attempt:
    """Return a trained model."""
    order = np.arange(len(split.train_items))
    interactions = pd.DataFrame(
        {
            Columns.User: split.train_users,
            Columns.Item: split.train_items,
            Columns.Weight: 1,
            Columns.Datetime: pd.to_datetime(order, unit="s"),
        }
    )
    seed_everything(0)
    model = SASRecModel(
        n_blocks=2,
        n_heads=2,
        n_factors=64,
        session_max_len=LENGTH,
        dropout_rate=dropout,
        loss="sampled_softmax",
        n_negatives=NUM_NEGATIVES,
        negative_sampler_type=SharedSampler,
        lightning_module_type=SharedNegatives,
        batch_size=128,
        lr=1e-3,
    )
    model._trainer = trainer(split)  # as its documentation tells to
    model.fit(Dataset.construct(interactions))
    (validate,) = (each for each in model.fit_trainer.callbacks if isinstance(each, Validate))
    module = model.lightning_model
    return Attempt(module, validate.best, partial(score, module))


if __name__ == "__main__":
    with measured("rectools", "pandas", "numpy", "torch", "pytorch-lightning") as facts:
        given = [float(each) for each in sys.argv[2:]] or [0.5, 0.2]
        source = Split.read(Path(sys.argv[1]))
        facts |= choose({each: fit(source, each) for each in given})
