"""Two processes with half a batch each have the gradients of one with the whole batch."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from xrec_lightning.models.gather import gather_rows
from xrec_lightning.models.heads.contrastive import Contrast, ContrastiveConfig, across_ranks


class Model(nn.Module):
    """A linear encoder under a contrastive head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Linear(5, 3)
        self.head = ContrastiveConfig(logq=1.0).build()

    def forward(self, queries: Tensor, keys: Tensor, contrast: Contrast) -> Tensor:
        pairs = self.encoder(queries), self.encoder(keys), contrast
        loss: Tensor = self.head(*across_ranks(*pairs))
        return loss


def make_batch(rows: slice) -> tuple[Tensor, Tensor, Contrast]:
    generator = torch.Generator().manual_seed(1)
    queries, keys = torch.randn(2, 8, 5, generator=generator)
    contrast = Contrast(
        key_ids=torch.tensor([1, 2, 3, 1, 4, 5, 6, 2]),
        seen_ids=torch.tensor([[9, 3], [8, 0], [7, 0], [9, 9], [8, 0], [6, 0], [5, 5], [3, 2]]),
        user_ids=torch.tensor([1, 2, 3, 4, 1, 5, 6, 7]),
        key_log_q=torch.linspace(-3, -1, 8),
        query_log_q=torch.linspace(-1, -2, 8),
    )
    cut = [None if part is None else part[rows] for part in contrast]
    return queries[rows], keys[rows], Contrast._make(cut)


def gradients(model: nn.Module, batches: list[slice]) -> list[Tensor]:
    """Return the loss and the gradients, summed over ``batches``."""
    losses = []
    for rows in batches:
        loss = model(*make_batch(rows))
        loss.backward()
        losses.append(loss.detach())
    found = [weight.grad for weight in model.parameters() if weight.grad is not None]
    return [torch.stack(losses).sum(), *found]


def run_process(rank: int, folder: Path) -> None:
    """Take one half of the batch."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    model = DistributedDataParallel(Model())
    half = slice(0, 4) if rank == 0 else slice(4, 8)
    once = gradients(model, [half])
    model.zero_grad()
    with model.no_sync():
        gradients(model, [half])
    twice = gradients(model, [half])
    torch.save((once, twice, gather_rows(torch.full((2,), rank))), folder / f"{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_have_the_gradients_of_one(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    processes = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)], env=environment)
        for rank in range(2)
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    expected = gradients(Model(), [slice(0, 8)])
    for rank in range(2):
        once, twice, rows = torch.load(tmp_path / f"{rank}.pt")
        assert len(once) == len(expected) == 4
        for found, wanted in zip(once, expected, strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)
        for found, wanted in zip(twice[1:], expected[1:], strict=True):  # accumulated
            torch.testing.assert_close(found, 2 * wanted, atol=1e-6, rtol=1e-5)
        assert rows.tolist() == [0, 0, 1, 1]


def test_without_processes_rows_stay_as_they_are() -> None:
    rows = torch.randn(2, 3)
    assert gather_rows(rows) is rows


if __name__ == "__main__":
    run_process(int(sys.argv[1]), Path(sys.argv[2]))
