"""What a check of a data set says of one fault."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")

Spec = tuple[Severity, str, str, str]
"""Severity, code, message and remedy of a fault."""


@dataclass(frozen=True)
class Finding:
    """One fault of a data set, its first example and its remedy."""

    severity: Severity
    """`error`: `prepare` refuses the data; `warning`: it drops rows, or results will suffer."""
    code: str
    """Stable name of the fault, such as `time_unreadable`."""
    message: str
    """The fault in one line."""
    remedy: str
    """What mends it, with the key of the data YAML."""
    count: int
    """Rows, ids or users with the fault."""
    share: float
    """Their share of those that were looked at."""
    column: str | None = None
    """Column under our name, or under its own where it is not one of ours."""
    file: str | None = None
    """File of the example."""
    row: int | None = None
    """Row of the example in its file, from 0, the header not counted."""
    example: str | None = None
    """Value of the first row that has the fault; addresses and numbers of people are masked."""


def share_of(count: int, total: int) -> float:
    """Return ``count`` of ``total`` as a share with six digits, 0 of nothing.

    Example:
        >>> share_of(1, 3), share_of(0, 0)
        (0.333333, 0.0)
    """
    return round(count / total, 6) if total else 0.0


def describe(spec: Spec, count: int, total: int, column: str | None = None) -> Finding:
    """Return a finding of ``count`` of ``total`` rows, ids or users.

    Args:
        spec: Severity, code, message and remedy.
        count: Those with the fault.
        total: Those that were looked at.
        column: Column of the fault.
    """
    return Finding(*spec, count=count, share=share_of(count, total), column=column)


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings from errors to remarks, each kind in the order given."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
