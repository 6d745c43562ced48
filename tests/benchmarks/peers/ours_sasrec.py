"""SASRec of ours. `python ours_sasrec.py full|chunked|sampled|rank DATA_YAML`."""

import logging
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
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

from xrec_lightning.batches import SequenceBatch
from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.models.channels.sequence import SequenceChannelConfig
from xrec_lightning.models.objectives import (
    ChunkedSoftmaxLossConfig,
    FullSoftmaxLossConfig,
    LossConfig,
    SampledSoftmaxLossConfig,
)
from xrec_lightning.models.sequence.sasrec import SASRecConfig
from xrec_lightning.modules.fusion import FusionRecommender

LOSSES: dict[str, LossConfig] = {
    "full": FullSoftmaxLossConfig(),
    "chunked": ChunkedSoftmaxLossConfig(),
    "sampled": SampledSoftmaxLossConfig(),
    "rank": SampledSoftmaxLossConfig(),
}


class TickCallback(Callback):
    """Note the targets of each step."""

    def __init__(self) -> None:
        self.ticks = Ticks()

    def on_train_batch_end(self, *arguments: Any) -> None:
        batch = next(each for each in arguments if isinstance(each, SequenceBatch))
        self.ticks.note(int((batch.target_ids > 0).sum()))


def make_trainer(*callbacks: Callback) -> Trainer:
    """Return a trainer of a few steps that writes nothing."""
    return Trainer(
        max_steps=WARM_UP + STEPS,
        limit_val_batches=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[*callbacks],
    )


def main(kind: str, dataset: Path) -> None:
    """Print the figures of one kind as JSON."""
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with measured("xrec-lightning", "torch", "lightning") as facts:
        data = BehaviorDataModule(
            dataset,
            batch_size=BATCH_SIZE,
            eval_batch_size=RANKED_AT_ONCE,
            max_seq_len=LENGTH,
        )
        encoder = SASRecConfig(
            embed_dim=WIDTH,
            max_seq_len=LENGTH,
            num_blocks=BLOCKS,
            num_heads=HEADS,
            dropout=DROPOUT,
        )
        module = FusionRecommender(
            data.catalog,
            [SequenceChannelConfig(encoder=encoder)],
            loss=LOSSES[kind],
            optimizer=partial(torch.optim.AdamW, fused=True),
            top_k=TOP_K,
        )
        if kind == "rank":
            trainer = make_trainer()
            facts |= rank_often(lambda: rank(trainer, module, data))
        else:
            callback = TickCallback()
            make_trainer(callback).fit(module, data)
            facts["rate"] = callback.ticks.rate()


def rank(trainer: Trainer, module: FusionRecommender, data: BehaviorDataModule) -> torch.Tensor:
    """Return the best items of every user."""
    return torch.cat([batch.item_ids for batch in trainer.predict(module, data) or []])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
