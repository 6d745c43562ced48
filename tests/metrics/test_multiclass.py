import pytest
import torch
from sklearn.metrics import classification_report, log_loss

from xrec_lightning.metrics.multiclass import MulticlassReport, class_figures

CLASSES = ["tea", "pots", "cups", "never"]


def test_all_figures_equal_scikit_learn_over_uneven_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (90,), generator=generator)
    logits = torch.randn(90, 4, generator=generator) + 2 * torch.eye(4)[labels]
    logits[:, 3] -= 9  # neither truth nor answer
    domains = torch.randint(1, 3, (90,), generator=generator)
    report = MulticlassReport(CLASSES, ["east", "west"], detailed=True)
    for rows in (slice(0, 64), slice(64, 90)):
        report.update(logits[rows], labels[rows], domains[rows])
    found = {name: value.item() for name, value in report.compute().items()}
    answers = logits.argmax(dim=1)
    theirs = classification_report(labels, answers, target_names=CLASSES[:3], output_dict=True)
    log_probabilities = logits.double().log_softmax(dim=1).exp().numpy()
    expected = {
        "loss": log_loss(labels, log_probabilities, labels=[0, 1, 2, 3]),
        "accuracy": theirs["accuracy"],
    }
    names = {"precision": "precision", "recall": "recall", "f1": "f1-score"}
    expected |= {ours: theirs["macro avg"][name] for ours, name in names.items()}
    for name in CLASSES[:3]:
        expected |= {f"{ours}/{name}": theirs[name][its] for ours, its in names.items()}
        expected[f"support/{name}"] = theirs[name]["support"]
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    for index, name in enumerate(["east", "west"], start=1):
        rows = domains == index
        expected[f"loss/{name}"] = losses[rows].mean().item()
        expected[f"accuracy/{name}"] = (answers == labels)[rows].double().mean().item()
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_short_report_has_no_classes() -> None:
    report = MulticlassReport(CLASSES)
    report.update(torch.eye(4), torch.arange(4), torch.ones(4, dtype=torch.int64))
    found = report.compute()
    assert set(found) == {"loss", "accuracy", "precision", "recall", "f1"}
    assert all(found[name] == 1 for name in found if name != "loss")


def test_a_class_that_is_never_said_has_no_precision() -> None:
    figures = class_figures(torch.tensor([[2, 0], [1, 0]]))
    assert figures["precision"].tolist() == [pytest.approx(2 / 3), 0]
    assert figures["recall"].tolist() == [1, 0]
    assert figures["f1"].tolist() == [pytest.approx(0.8), 0]
    assert figures["support"].tolist() == [2, 1]
