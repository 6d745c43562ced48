"""SASRec in plain PyTorch: the bound. `python bare_sasrec.py plain|bucketed|rank CSV`.

`plain` pads every history to 50 and makes logits at all positions at once. `bucketed` takes
histories of about equal length together, and logits at real positions a block at a time, whose
gradient is computed with it. The network is that of `xrec_lightning`, with inner products.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
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
from torch import Tensor, nn

HELD_OUT = 2
BLOCK = 512


class Block(nn.Module):
    """Pre-normalized causal attention and feed-forward."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.project, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, hidden: Tensor) -> Tensor:
        heads = self.project(self.norms[0](hidden)).unflatten(-1, (HEADS, -1)).transpose(1, 2)
        rate = DROPOUT if self.training else 0.0
        mixed = F.scaled_dot_product_attention(*heads.chunk(3, -1), dropout_p=rate, is_causal=True)
        hidden = hidden + self.drop(self.out(mixed.transpose(1, 2).flatten(2)))
        wide = self.drop(F.gelu(self.wide(self.norms[1](hidden))))
        return hidden + self.drop(self.narrow(wide))


class SASRec(nn.Module):
    """Items to a state a position; logits are inner products with the items."""

    def __init__(self, num_items: int) -> None:
        super().__init__()
        self.items = nn.Embedding(num_items + 1, WIDTH, padding_idx=0)
        self.positions = nn.Parameter(torch.zeros(LENGTH, WIDTH))
        self.drop, self.norm = nn.Dropout(DROPOUT), nn.LayerNorm(WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        nn.init.normal_(self.items.weight, std=0.02)

    def forward(self, item_ids: Tensor) -> Tensor:
        hidden = self.drop(self.items(item_ids) + self.positions[: item_ids.size(1)])
        return self.norm(self.blocks(hidden))


def read(source: Path) -> tuple[list[np.ndarray], int]:
    """Return the items of each user, oldest first, and their number."""
    rows = pl.read_csv(source).with_columns(
        pl.col("item_id").rank("dense").cast(pl.Int64), pl.col("user_id").rank("dense")
    )
    histories = rows.sort("timestamp").group_by("user_id", maintain_order=True).agg("item_id")
    return [items.to_numpy() for items in histories["item_id"]], int(rows["item_id"].max())


def padded(rows: list[np.ndarray], length: int) -> Tensor:
    """Return rows right-padded with 0."""
    out = np.zeros((len(rows), length), dtype=np.int64)
    for index, row in enumerate(rows):
        out[index, : len(row)] = row
    return torch.from_numpy(out)


def batches(histories: list[np.ndarray], is_bucketed: bool) -> Iterator[Tensor]:
    """Yield windows of 51 items, each user's newest, without end."""
    windows = [items[:-HELD_OUT][-LENGTH - 1 :] for items in histories]
    windows = [window for window in windows if len(window) > 1]
    generator = np.random.default_rng(0)
    while True:
        order = generator.permutation(len(windows))
        if is_bucketed:
            order = order[np.argsort([len(windows[row]) for row in order], kind="stable")]
        starts = generator.permutation(range(0, len(order), BATCH_SIZE))
        for start in starts:
            rows = [windows[row] for row in order[start : start + BATCH_SIZE]]
            yield padded(rows, max(map(len, rows)) if is_bucketed else LENGTH + 1)


def plain_step(model: SASRec, batch: Tensor) -> None:
    """Compute gradients of the mean cross-entropy, all logits at once."""
    logits = model(batch[:, :-1]) @ model.items.weight.T
    F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), ignore_index=0).backward()


def bucketed_step(model: SASRec, batch: Tensor) -> None:
    """Compute the same gradients, a block of real positions at a time."""
    targets = batch[:, 1:][batch[:, 1:] > 0]
    states = model(batch[:, :-1])[batch[:, 1:] > 0]
    leaf = states.detach().requires_grad_()
    for rows, wanted in zip(leaf.split(BLOCK), targets.split(BLOCK), strict=True):
        logits = rows @ model.items.weight.T
        (F.cross_entropy(logits, wanted, reduction="sum") / len(targets)).backward()
    states.backward(leaf.grad)


def train(kind: str, source: Path) -> float:
    """Return targets per CPU second."""
    histories, num_items = read(source)
    model = SASRec(num_items)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    step = plain_step if kind == "plain" else bucketed_step
    ticks = Ticks()
    for _, batch in zip(
        range(WARM_UP + STEPS), batches(histories, kind == "bucketed"), strict=False
    ):
        optimizer.zero_grad()
        step(model, batch)
        optimizer.step()
        ticks.note(int((batch[:, 1:] > 0).sum()))
    return ticks.rate()


def rank(source: Path) -> dict[str, float]:
    """Return the pace of ranking all items for every user, seen ones removed."""
    histories, num_items = read(source)
    model = SASRec(num_items).eval()

    @torch.inference_mode()
    def call() -> Tensor:
        best = []
        for start in range(0, len(histories), RANKED_AT_ONCE):
            seen = histories[start : start + RANKED_AT_ONCE]
            rows = [items[-LENGTH:] for items in seen]
            states = model(padded(rows, max(map(len, rows))))
            last = torch.tensor([len(row) - 1 for row in rows])
            scores = states[torch.arange(len(rows)), last] @ model.items.weight.T
            lines = np.repeat(np.arange(len(seen)), [len(items) for items in seen])
            scores[torch.from_numpy(lines), torch.from_numpy(np.concatenate(seen))] = -torch.inf
            scores[:, 0] = -torch.inf
            best.append(scores.topk(TOP_K).indices)
        return torch.cat(best)

    return rank_often(call)


def main(kind: str, source: Path) -> None:
    """Print the figures of one kind as JSON."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with measured("torch", "numpy") as facts:
        if kind == "rank":
            facts |= rank(source)
        else:
            facts["rate"] = train(kind, source)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
