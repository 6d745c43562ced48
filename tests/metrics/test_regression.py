import pytest
import torch
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from xrec_lightning.metrics.regression import RegressionReport


def test_errors_equal_scikit_learn_over_uneven_batches_and_by_domain() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(1, 6, (70,), generator=generator).float()
    predicted = labels + torch.randn(70, generator=generator)
    domains = torch.randint(1, 3, (70,), generator=generator)
    report = RegressionReport(["tea", "pots", "none"])
    for rows in (slice(0, 64), slice(64, 70)):
        report.update(predicted[rows], labels[rows], domains[rows])
    expected = {}
    for suffix, rows in (("", domains > 0), ("/tea", domains == 1), ("/pots", domains == 2)):
        truth, said = labels[rows].numpy(), predicted[rows].numpy()
        expected[f"rmse{suffix}"] = root_mean_squared_error(truth, said)
        expected[f"mae{suffix}"] = mean_absolute_error(truth, said)
    found = {name: value.item() for name, value in report.compute().items()}
    assert found == pytest.approx(expected, abs=1e-6)
