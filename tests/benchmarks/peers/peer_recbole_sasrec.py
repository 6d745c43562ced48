"""SASRec of RecBole. `python peer_recbole_sasrec.py train|rank FILE.inter FOLDER`.

A row of its batches is one target with its history. Environment: as `peer_recbole.py`.
"""

import os
import sys
from pathlib import Path

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
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.sequential_recommender import SASRec
from recbole.utils import init_seed

SETTINGS = {
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    "eval_args": {
        "split": {"LS": "valid_and_test"},
        "group_by": "user",
        "order": "TO",
        "mode": "full",
    },
    "train_neg_sample_args": None,
    "loss_type": "CE",
    "MAX_ITEM_LIST_LENGTH": LENGTH,
    "n_layers": BLOCKS,
    "n_heads": HEADS,
    "hidden_size": WIDTH,
    "inner_size": 4 * WIDTH,
    "hidden_dropout_prob": DROPOUT,
    "attn_dropout_prob": DROPOUT,
    "train_batch_size": BATCH_SIZE,
    "eval_batch_size": RANKED_AT_ONCE,
    "use_gpu": False,
    "state": "ERROR",
    "show_progress": False,
}


def figures(kind: str, source: Path, folder: Path) -> dict[str, float]:
    """Return the pace of one kind: steps and scores as in RecBole's `Trainer`."""
    sys.argv = sys.argv[:1]  # Config reads the command line too
    places = {"data_path": str(source.parent.parent), "checkpoint_dir": str(folder)}
    config = Config(model="SASRec", dataset=source.stem, config_dict={**SETTINGS, **places})
    init_seed(config["seed"], config["reproducibility"])
    train_rows, _, test_rows = data_preparation(config, create_dataset(config))
    model = SASRec(config, train_rows.dataset)
    if kind == "train":
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        ticks = Ticks()
        for _, batch in zip(range(WARM_UP + STEPS), train_rows, strict=False):
            optimizer.zero_grad()
            model.calculate_loss(batch).backward()
            optimizer.step()
            ticks.note(len(batch))
        return {"rate": ticks.rate()}
    model.eval()

    @torch.no_grad()
    def call() -> torch.Tensor:
        best = []
        for interaction, seen, _, _ in test_rows:
            scores = model.full_sort_predict(interaction).view(-1, train_rows.dataset.item_num)
            scores[:, 0] = -torch.inf
            if seen is None:  # its protocol for sequences removes nothing
                lines = torch.arange(len(scores))[:, None]
                scores[lines, interaction[model.ITEM_SEQ]] = -torch.inf
            else:
                scores[seen] = -torch.inf
            best.append(scores.topk(TOP_K).indices)
        return torch.cat(best)

    return rank_often(call)


if __name__ == "__main__":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.set_num_threads(1)
    with measured("recbole", "torch") as facts:
        facts |= figures(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
