"""Slices against plain means; any order of batches and any number of processes."""

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import distributed

from xrec_lightning.metrics.functional import ndcg_at_k
from xrec_lightning.metrics.ranking import MRR, NDCG, HitRate, default_metrics
from xrec_lightning.metrics.sliced import SlicedRankMetrics

NAMES = ["grocery", "cold", "warm"]


def make_targets(num_targets: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    ranks = torch.randint(1, 40, (num_targets,), generator=generator)
    mask = torch.rand(num_targets, len(NAMES), generator=generator) < 0.5
    return ranks, mask


def compute(batches: list[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    metric = SlicedRankMetrics(default_metrics(), NAMES)
    for ranks, mask in batches:
        metric.update(ranks, mask)
    return {key: value.item() for key, value in metric.compute().items()}


def test_values_worked_by_hand() -> None:
    metric = SlicedRankMetrics([HitRate(2), MRR(5)], ["cold", "empty"])
    metric.update(torch.tensor([1, 4]), torch.tensor([[False, False], [True, False]]))
    metric.update(torch.tensor([90, 2]), torch.tensor([[True, False], [False, False]]))
    values = {key: value.item() for key, value in metric.compute().items()}
    assert values == {
        "hr@2": 0.5,
        "mrr@5": (1 + 1 / 4 + 0 + 1 / 2) / 4,
        "hr@2/cold": 0.0,
        "mrr@5/cold": (1 / 4 + 0) / 2,
    }


def test_each_slice_is_the_plain_mean_over_its_rows() -> None:
    ranks, mask = make_targets(200, seed=1)
    values = compute([(ranks, mask)])
    expected = ndcg_at_k(ranks.double(), 10)
    assert values["ndcg@10"] == pytest.approx(expected.mean().item())
    for column, name in enumerate(NAMES):
        assert values[f"ndcg@10/{name}"] == pytest.approx(expected[mask[:, column]].mean().item())


@given(st.integers(1, 60), st.integers(1, 60), st.randoms(use_true_random=False))
def test_order_and_size_of_batches_do_not_change_a_bit(
    num_targets: int, batch_size: int, random: Random
) -> None:
    ranks, mask = make_targets(num_targets, seed=num_targets)
    order = list(range(num_targets))
    random.shuffle(order)
    batches = list(zip(ranks[order].split(batch_size), mask[order].split(batch_size), strict=True))
    assert compute(batches) == compute([(ranks, mask)])


def test_no_targets_give_no_keys() -> None:
    metric = SlicedRankMetrics([NDCG(10)], NAMES)
    metric.update(torch.zeros(0, dtype=torch.int64), torch.zeros(0, len(NAMES), dtype=torch.bool))
    assert metric.compute() == {}


def test_no_slices_are_fine() -> None:
    metric = SlicedRankMetrics([HitRate(1)], [])
    metric.update(torch.tensor([1, 2]), torch.zeros(2, 0, dtype=torch.bool))
    assert {key: value.item() for key, value in metric.compute().items()} == {"hr@1": 0.5}


def test_repeated_names_are_refused() -> None:
    with pytest.raises(ValueError, match="'cold' is given twice"):
        SlicedRankMetrics([NDCG(10)], ["cold", "cold"])
    with pytest.raises(ValueError, match="'ndcg@10' is given twice"):
        SlicedRankMetrics([NDCG(10), NDCG(10)], [])


def compute_on_process(rank: int, folder: Path) -> None:
    """Compute as one of two processes, of which the first holds 30 of the 35 targets."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    ranks, mask = make_targets(35, seed=3)
    metric = SlicedRankMetrics(default_metrics(), NAMES)
    part = slice(0, 30) if rank == 0 else slice(30, None)
    metric.update(ranks[part], mask[part])
    torch.save(metric.compute(), folder / f"{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_give_the_numbers_of_one(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    processes = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)], env=environment)
        for rank in range(2)
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    expected = compute([make_targets(35, seed=3)])
    for rank in range(2):
        result = torch.load(tmp_path / f"{rank}.pt")
        assert {key: value.item() for key, value in result.items()} == expected


if __name__ == "__main__":
    compute_on_process(int(sys.argv[1]), Path(sys.argv[2]))
