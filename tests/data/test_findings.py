"""Findings."""

from xrec_lightning.data.findings import Finding, describe, sort_findings


def test_share_is_of_all_that_were_looked_at() -> None:
    finding = describe(("info", "code", "message", "remedy"), 1, 4, "item_id")
    assert finding == Finding("info", "code", "message", "remedy", 1, 0.25, "item_id")


def test_errors_come_first_and_order_stays_within_a_severity() -> None:
    kinds = ("info", "error", "warning", "error")
    findings = [describe((kind, str(n), "", ""), 1, 1) for n, kind in enumerate(kinds)]
    assert [each.code for each in sort_findings(findings)] == ["1", "3", "2", "0"]
