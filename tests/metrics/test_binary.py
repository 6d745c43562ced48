import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from xrec_lightning.metrics.binary import BinaryReport


def test_all_figures_equal_scikit_learn_over_uneven_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(101, generator=generator) < 0.3).float()
    logits = torch.randn(101, generator=generator) + labels
    report = BinaryReport(per_class=True)
    for part in (slice(0, 64), slice(64, 101)):
        report.update(logits[part], labels[part])
    figures = {name: value.item() for name, value in report.compute().items()}
    truth, answers = labels.numpy(), (logits > 0).numpy()
    precision, recall, f1, support = precision_recall_fscore_support(truth, answers)
    expected = {
        "loss": log_loss(truth, torch.sigmoid(logits).double().numpy()),
        "accuracy": accuracy_score(truth, answers),
        "auc": roc_auc_score(truth, logits.numpy()),
        "f1": f1_score(truth, answers),
        "precision": precision[1],
        "recall": recall[1],
    }
    for label in (0, 1):
        expected[f"precision/{label}"] = precision[label]
        expected[f"recall/{label}"] = recall[label]
        expected[f"f1/{label}"] = f1[label]
        expected[f"support/{label}"] = support[label]
    assert figures == pytest.approx(expected, abs=1e-5)


def test_the_short_report_has_no_classes() -> None:
    report = BinaryReport()
    report.update(torch.tensor([1.0, -1.0]), torch.tensor([1.0, 0.0]))
    assert set(report.compute()) == {"loss", "accuracy", "auc", "precision", "recall", "f1"}
