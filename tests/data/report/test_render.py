"""Reports in the terminal."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.findings import Finding
from xrec_lightning.data.report.domains import DomainFacts, Overlap
from xrec_lightning.data.report.facts import Report
from xrec_lightning.data.report.inspect import inspect_data
from xrec_lightning.data.report.render import render_report, verdict

NOW = 1_700_000_000
ERROR = Finding(
    "error", "broken", "a [b] c", "mend `it`", 1234, 0.5, "item_id", "log.csv", 7, "[x]"
)


def print_report(report: Report, top: int = 10) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(render_report(report, top))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def make_report(num_domains: int = 0, findings: list[Finding] | None = None) -> Report:
    domains = [DomainFacts(f"domain {n}", 10, 0, 20, 30, 0.5) for n in range(num_domains)]
    names = [each.domain for each in domains]
    overlap = [Overlap(names[0], name, 1000 + n) for n, name in enumerate(names[1:])]
    return Report([], None, domains, overlap, findings or [])


def test_facts_of_a_data_set_are_shown(make_data: Callable[..., PrepareConfig]) -> None:
    lines = print_report(inspect_data(make_data(), NOW)).splitlines()
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for part in ("80 rows", "2020-09-13T12:26:40", "100.0000%", "Gini", "nothing found"):
        assert part in text
    assert lines[-1] == "error: 0, warning: 0, info: 0; `xrec prepare` can go on"


def test_finding_shows_where_it_is_and_what_mends_it() -> None:
    text = print_report(make_report(findings=[ERROR]))
    for part in ("error broken: a [b] c", "log.csv, row 7, item_id: [x]", "mend `it`", "1,234"):
        assert part in text
    assert "would refuse" in text


@pytest.mark.parametrize("num_domains", [2, 9, 30])
def test_overlap_of_any_number_of_domains_fits(num_domains: int) -> None:
    text = print_report(make_report(num_domains))
    assert f"{998 + num_domains:,}" in text
    assert max(map(len, text.splitlines())) <= 80


def test_lists_are_cut_at_top() -> None:
    text = print_report(make_report(30), top=3)
    assert "domain 2 " in text
    assert "27 more" in text
    # The pairs that share most are shown.
    assert "1,028" in text
    assert "1,000" not in text


def test_verdict_depends_on_errors_alone() -> None:
    assert verdict([ERROR]).endswith("`xrec prepare` would refuse")
    assert verdict([]).endswith("`xrec prepare` can go on")
