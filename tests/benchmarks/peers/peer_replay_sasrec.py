"""SasRec of RePlay. `python peer_replay_sasrec.py train|rank CSV FOLDER`.

Its feed-forward is set to the width of ours; it pads every history to the longest one.
Environment: as `peer_replay.py`.
"""

import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import lightning
import polars as pl
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
from peer_replay import ITEM, TIME, USER, split, tensor_schema, write_histories
from replay.data.nn import ParquetModule
from replay.nn.lightning import LightningModule
from replay.nn.lightning.callback import TorchTopItemsCallback
from replay.nn.lightning.postprocessor import SeenItemsFilter
from replay.nn.sequential import SasRec
from replay.nn.transform.template import make_default_sasrec_transforms
from replay.preprocessing import LabelEncoder, LabelEncodingRule

SEEN = "seen_ids"


class TickCallback(lightning.Callback):
    """Note the targets of each step."""

    def __init__(self) -> None:
        self.ticks = Ticks()

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.ticks.note(int(batch["target_padding_mask"].sum()))


def make_trainer(callback: lightning.Callback) -> lightning.Trainer:
    """Return a trainer of a few steps that writes nothing."""
    return lightning.Trainer(
        max_steps=WARM_UP + STEPS,
        limit_val_batches=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback],
    )


def figures(kind: str, source: Path, folder: Path) -> dict[str, float]:
    """Return the pace of one kind."""
    interactions = pl.read_csv(source, columns=[USER, ITEM, TIME])
    encoder = LabelEncoder([LabelEncodingRule(USER), LabelEncodingRule(ITEM)])
    interactions = encoder.fit_transform(interactions)
    num_items = len(encoder.mapping[ITEM])
    schema = tensor_schema(num_items)
    model = SasRec.from_params(
        schema,
        embedding_dim=WIDTH,
        num_heads=HEADS,
        num_blocks=BLOCKS,
        max_sequence_length=LENGTH,
        dropout=DROPOUT,
        hidden_dim=4 * WIDTH,
    )
    transforms = make_default_sasrec_transforms(schema)
    column = {"padding": schema[ITEM].padding_value}
    if kind == "train":
        known, _ = split(interactions)
        train, _ = split(known)
        data = ParquetModule(
            batch_size=BATCH_SIZE,
            metadata={"train": {USER: {}, ITEM: {"shape": LENGTH + 1, **column}}},
            transforms={"train": transforms["train"]},
            train_path=write_histories(folder / "train.parquet", train),
        )
        callback = TickCallback()
        make_trainer(callback).fit(LightningModule(model), datamodule=data)
        return {"rate": callback.ticks.rate()}
    longest = int(interactions.group_by(USER).len()["len"].max())
    path = write_histories(folder / "predict.parquet", interactions)
    pl.read_parquet(path).with_columns(pl.col(ITEM).alias(SEEN)).write_parquet(path)
    shapes = {ITEM: {"shape": LENGTH, **column}, SEEN: {"shape": longest, "padding": -1}}
    data = ParquetModule(
        batch_size=RANKED_AT_ONCE,
        metadata={"predict": {USER: {}, **shapes}},
        transforms={"predict": transforms["predict"]},
        predict_path=path,
    )
    top = TorchTopItemsCallback(TOP_K, USER, postprocessors=[SeenItemsFilter(num_items, SEEN)])
    trainer, module = make_trainer(top), LightningModule(model)

    def call() -> Any:
        trainer.predict(module, datamodule=data, return_predictions=False)
        return top.get_result()[0]

    return rank_often(call)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with measured("replay-rec", "polars", "torch") as facts:
        facts |= figures(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
