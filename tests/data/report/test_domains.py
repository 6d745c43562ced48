"""Facts of domains, by hand."""

from typing import Any

import polars as pl

from xrec_lightning.data.report.domains import (
    TINY,
    DomainFacts,
    Overlap,
    count_domains,
    find_domains,
    list_overlap,
)
from xrec_lightning.data.report.histories import Histories

OVERLAP = pl.DataFrame(
    {
        "domain": ["x", "x", "y", "y"],
        "domain_other": ["x", "y", "x", "y"],
        "users": [3, 2, 2, 2],
    }
)


def facts(name: str, **changes: Any) -> DomainFacts:
    return DomainFacts(name, 5, 0, TINY, 50, 1.0)._replace(**changes)


def test_items_are_of_log_and_catalog_and_share_their_text() -> None:
    log_items = pl.DataFrame(
        {"domain": ["x", "x", "y"], "item_id": ["a", "b", "a"], "len": [4, 1, 2]}
    )
    catalog = pl.DataFrame(
        {
            "domain": ["x", "x", "z", None],
            "item_id": ["a", "b", "c", "d"],
            "has_text": [True, False, True, True],
        }
    )
    users = pl.DataFrame({"domains": [2, 2, 1], "domain": ["x", "y", "x"]})
    histories = Histories(users, OVERLAP, 0, 0, 0, {})
    assert count_domains(log_items, catalog, histories) == [
        DomainFacts("x", 3, 1, 2, 5, 0.5),
        DomainFacts("y", 2, 0, 1, 2, 1.0),
        DomainFacts("z", 0, 0, 1, 0, 1.0),
    ]


def test_overlap_lists_each_pair_once() -> None:
    assert list_overlap(OVERLAP) == [Overlap("x", "y", 2)]


def test_domains_that_are_fine_have_no_findings() -> None:
    assert find_domains([facts("x"), facts("y")], [Overlap("x", "y", 1)]) == []
    assert find_domains([facts("x", text_coverage=0.0)], []) == []


def test_each_fault_names_its_domains() -> None:
    domains = [
        facts("x"),
        facts("y"),
        facts("tiny", items=TINY - 1),
        facts("mute", text_coverage=0.0),
        facts("unused", users=0),
    ]
    overlap = [Overlap("x", "y", 1), Overlap("mute", "x", 3)]
    found = find_domains(domains, overlap)
    assert [(each.code, each.count, each.example) for each in found] == [
        ("tiny_domain", 1, "tiny"),
        ("no_shared_users", 1, "tiny"),
        ("domain_without_text", 1, "mute"),
    ]
