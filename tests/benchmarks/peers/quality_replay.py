"""RePlay: NDCG@10 of its SASRec on our split. `python quality_replay.py SPLIT.npz [DROPOUT …]`.

As its examples do: a `ParquetModule` of histories, sampled cross-entropy with negatives drawn once
a batch, Lightning's trainer. Targets are scored by its model on the history of each target: its
callbacks filter items by user, not by the domain of a target.
Environment: `pip install "replay-rec[torch]==0.22.0"`.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

import lightning
import numpy as np
import polars as pl
from lightning import LightningModule, Trainer, seed_everything
from measure import measured
from quality import LENGTH, Attempt, BestEpoch, Ranking, Split, choose
from replay.data import FeatureHint, FeatureSource, FeatureType
from replay.data.nn import ParquetModule, TensorFeatureInfo, TensorFeatureSource, TensorSchema
from replay.nn.lightning import LightningModule as SasRecModule
from replay.nn.lightning.optimizer import OptimizerFactory
from replay.nn.loss import CESampled
from replay.nn.sequential.length_bucket import LengthBucketedQueryEncoder
from replay.nn.sequential.sasrec import SasRec
from replay.nn.transform import UniformNegativeSamplingTransform
from replay.nn.transform.template import make_default_sasrec_transforms
from torch import Tensor
from typing_extensions import override

EPOCHS = 40
NUM_NEGATIVES = 1024
BATCH_SIZE = 128
ITEM = "item_id"


def score(padding: int, module: LightningModule, histories: Tensor) -> Tensor:
    """Return the scores of all items that the model knows, in its order."""
    batch = {"feature_tensors": {ITEM: histories}, "padding_mask": histories != padding}
    logits: Tensor = module(batch)["logits"]
    return logits[:, :padding]


class Validate(lightning.Callback):
    """Keep the best epoch."""

    def __init__(self, best: BestEpoch) -> None:
        self.best = best

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        scorer = partial(score, self.best.ranking.padding, pl_module)
        trainer.should_stop = self.best.check(trainer.current_epoch + 1, pl_module, scorer)


def tensor_schema(num_items: int) -> TensorSchema:
    """Return the schema of histories of items."""
    return TensorSchema(
        TensorFeatureInfo(
            name=ITEM,
            is_seq=True,
            padding_value=num_items,
            cardinality=num_items,
            embedding_dim=64,
            feature_type=FeatureType.CATEGORICAL,
            feature_hint=FeatureHint.ITEM_ID,
            feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, ITEM)],
        )
    )


def training_data(schema: TensorSchema, events: pl.DataFrame, folder: Path) -> ParquetModule:
    """Return batches of one history a user, after its events were written to a file."""
    num_items = schema[ITEM].cardinality
    transforms = make_default_sasrec_transforms(schema)
    transforms["train"].append(UniformNegativeSamplingTransform(num_items, NUM_NEGATIVES))
    path = folder / "train.parquet"
    events.group_by("user", maintain_order=True).agg(ITEM).write_parquet(path)
    column = {"shape": LENGTH + 1, "padding": num_items}
    return ParquetModule(
        batch_size=BATCH_SIZE,
        metadata={"train": {ITEM: column}},
        transforms={"train": transforms["train"]},
        train_path=str(path),
    )


def model(schema: TensorSchema, dropout: float) -> SasRec:
    """Return an untrained model that leaves out padding where it can."""
    body = SasRec.from_params(
        schema,
        embedding_dim=64,
        num_heads=2,
        num_blocks=2,
        max_sequence_length=LENGTH,
        dropout=dropout,
    ).body
    body.encoder = LengthBucketedQueryEncoder(body.encoder, bucket_size=32)
    return SasRec(body, CESampled())


def fit(split: Split, dropout: float, folder: Path) -> Attempt:
    """Return a trained model."""
    item_ids, numbers = np.unique(split.train_items, return_inverse=True)
    num_items = len(item_ids)
    ranking = Ranking(split, item_ids, np.arange(num_items), padding=num_items)
    schema = tensor_schema(num_items)
    seed_everything(0)
    events = pl.DataFrame({"user": split.train_users, ITEM: numbers})
    data = training_data(schema, events, folder)
    module = SasRecModule(model(schema, dropout), OptimizerFactory(learning_rate=1e-3))
    best = BestEpoch(ranking)
    trainer = Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        callbacks=[Validate(best)],
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=data)
    return Attempt(module, best, partial(score, num_items, module))


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory() as temporary,
        measured("replay-rec", "polars", "numpy", "torch", "lightning") as facts,
    ):
        given = [float(each) for each in sys.argv[2:]] or [0.5, 0.3]
        source = Split.read(Path(sys.argv[1]))
        facts |= choose({each: fit(source, each, Path(temporary)) for each in given})
