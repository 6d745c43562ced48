"""Training steps of one tuning method on one language model: weights, time and memory."""

import importlib
import io
import sys
import time
from pathlib import Path

import numpy as np
import torch
import yaml
from measure import measured

from xrec_lightning.batches import Catalog, PairBatch, TextBatch
from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.base import TuningConfig
from xrec_lightning.modules.finetune import LanguageFineTuner
from xrec_lightning.modules.tasks.contrastive import ContrastiveTaskConfig

PAIRS = 64
TOKENS = 18
"""Mean length of the item texts of both data sets."""
WARM_UP = 2
STEPS = 8
VOCABULARY = 20_000


def make_batch() -> PairBatch:
    """Return pairs of random texts without padding."""
    generator = np.random.default_rng(0)
    token_ids = generator.integers(1000, VOCABULARY, (2, PAIRS, TOKENS))
    is_real = torch.ones(PAIRS, TOKENS, dtype=torch.bool)
    left, right = (TextBatch(torch.from_numpy(ids), is_real) for ids in token_ids)
    ids = torch.arange(2 * PAIRS).view(2, PAIRS)
    return PairBatch(left, right, *ids, *torch.zeros(2, PAIRS))


def read_tuning(overlay: Path) -> TuningConfig:
    """Return the tuning that an overlay names."""
    chosen = yaml.safe_load(overlay.read_text())["model"]["init_args"]["tuning"]
    module, _, kind = chosen["class_path"].rpartition(".")
    tuning: TuningConfig = getattr(importlib.import_module(module), kind)(
        **chosen.get("init_args", {})
    )
    return tuning


def main(overlay: Path) -> None:
    """Print the figures of one method as JSON."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    catalog = Catalog("benchmark", ("all",), (), 1, 1, torch.zeros(2), (torch.ones(1),))
    tuning = read_tuning(overlay)
    module = LanguageFineTuner(
        catalog, TowerConfig(), tuning, {"pairs": ContrastiveTaskConfig()}
    ).train()
    batch, task, model = make_batch(), module.task("pairs"), module.tower.model
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-4, fused=True)
    tuning.start(model, 1000)
    seconds = []
    with measured("torch", "peft", "transformers") as figures:
        for step in range(WARM_UP + STEPS):
            began = time.process_time()
            loss = task.loss(module.tower, batch)
            penalty = tuning.penalty(model)
            (loss if penalty is None else loss + penalty).backward()
            optimizer.step()
            tuning.after_step(model, step + 1)
            optimizer.zero_grad()
            seconds.append(time.process_time() - began)
        checkpoint = {"state_dict": module.state_dict()}
        module.on_save_checkpoint(checkpoint)
        file = io.BytesIO()
        torch.save(checkpoint, file)
        total = sum(weight.numel() for weight in module.tower.parameters())
        trained = sum(w.numel() for w in module.tower.parameters() if w.requires_grad)
        figures |= {
            "trained": trained / total,
            "checkpoint_mb": file.tell() / 1e6,
            "step_s": float(np.median(seconds[WARM_UP:])),
        }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
