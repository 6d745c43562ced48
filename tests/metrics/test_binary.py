import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)
from torch import Tensor, distributed

from xrec_lightning.metrics.binary import AreaUnderCurve, BinaryReport, area_under_curve
from xrec_lightning.metrics.calibration import calibration_error

DOMAINS = ["tea", "pots", "one_sided"]


def answers() -> tuple[Tensor, Tensor, Tensor]:
    """Return logits, labels and domains of 101 answers; those of the third domain are all yes."""
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(101, generator=generator) < 0.3).float()
    logits = torch.randn(101, generator=generator) + labels
    domains = torch.randint(1, 3, (101,), generator=generator)
    domains[labels.nonzero()[:4, 0]] = 3
    return logits, labels, domains


def test_all_figures_equal_scikit_learn_over_uneven_batches() -> None:
    logits, labels, domains = answers()
    report = BinaryReport(DOMAINS, detailed=True)
    for part in (slice(0, 64), slice(64, 101)):
        report.update(logits[part], labels[part], domains[part])
    figures = {name: value.item() for name, value in report.compute().items()}
    truth, said = labels.numpy(), (logits > 0).numpy()
    precision, recall, f1, support = precision_recall_fscore_support(truth, said)
    expected = {"f1": f1_score(truth, said), "precision": precision[1], "recall": recall[1]}
    for label in (0, 1):
        expected[f"precision/{label}"] = precision[label]
        expected[f"recall/{label}"] = recall[label]
        expected[f"f1/{label}"] = f1[label]
        expected[f"support/{label}"] = support[label]
    everywhere = torch.ones(101, dtype=torch.bool)
    rows_by_name = {f"/{name}": domains == index for index, name in enumerate(DOMAINS, start=1)}
    for suffix, rows in {"": everywhere, **rows_by_name}.items():
        truth, probabilities = labels[rows].numpy(), torch.sigmoid(logits[rows].double())
        expected[f"loss{suffix}"] = log_loss(truth, probabilities.numpy(), labels=[0, 1])
        expected[f"accuracy{suffix}"] = accuracy_score(truth, (logits > 0)[rows].numpy())
        expected[f"brier{suffix}"] = brier_score_loss(truth, probabilities, labels=[0, 1])
        expected[f"ece{suffix}"] = calibration_error(probabilities, labels[rows]).item()
        if suffix != "/one_sided":
            expected[f"auc{suffix}"] = roc_auc_score(truth, logits[rows].numpy())
    assert figures == pytest.approx(expected, abs=1e-5)


def test_the_short_report_has_neither_classes_nor_domains() -> None:
    report = BinaryReport(DOMAINS)
    report.update(torch.tensor([1.0, -1.0]), torch.tensor([1.0, 0.0]), torch.tensor([1, 2]))
    overall = {"loss", "accuracy", "auc", "ece", "brier"}
    assert set(report.compute()) == overall | {"precision", "recall", "f1"}


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=30))
def test_the_area_is_that_of_scikit_learn_with_ties(rows: list[tuple[int, bool]]) -> None:
    scores, labels = (np.array(column) for column in zip(*rows, strict=True))
    found = area_under_curve(torch.from_numpy(scores), torch.from_numpy(labels)).item()
    if 0 < labels.sum() < len(labels):
        assert found == pytest.approx(roc_auc_score(labels, scores))
    else:
        assert math.isnan(found)


def test_large_logits_are_told_apart() -> None:
    # Their sigmoids are all 1 in single precision.
    assert area_under_curve(torch.tensor([30.0, 40.0]), torch.tensor([0, 1])) == 1


def test_the_area_of_each_domain_with_both_answers_is_reported() -> None:
    logits, labels, domains = answers()
    area = AreaUnderCurve(DOMAINS)
    area.update(logits, labels, domains)
    figures = area.compute()
    assert set(figures) == {"", "/tea", "/pots"}
    rows = domains == 2
    expected = roc_auc_score(labels[rows].numpy(), logits[rows].numpy())
    assert figures["/pots"].item() == pytest.approx(expected)


def compute(part: slice) -> dict[str, float]:
    """Return the figures of some of `answers`, of all processes."""
    logits, labels, domains = answers()
    report = BinaryReport(DOMAINS, detailed=True)
    report.update(logits[part], labels[part], domains[part])
    return {name: value.item() for name, value in report.compute().items()}


def compute_on_process(rank: int, folder: Path) -> None:
    """Compute as one of two processes, of which the first holds 90 of the 101 answers."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    torch.save(compute(slice(0, 90) if rank == 0 else slice(90, None)), folder / f"{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_give_the_numbers_of_one(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    processes = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)], env=environment)
        for rank in range(2)
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    for rank in range(2):
        assert torch.load(tmp_path / f"{rank}.pt") == compute(slice(None))


if __name__ == "__main__":
    compute_on_process(int(sys.argv[1]), Path(sys.argv[2]))
