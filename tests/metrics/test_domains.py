import torch

from xrec_lightning.metrics.domains import rows_of_domains


def test_each_domain_has_its_rows_and_those_without_are_left_out() -> None:
    found = dict(rows_of_domains(torch.tensor([3, 1, 3, 0]), ["tea", "pots", "cups"]))
    assert {name: rows.nonzero().squeeze(1).tolist() for name, rows in found.items()} == {
        "tea": [1],
        "cups": [0, 2],
    }
