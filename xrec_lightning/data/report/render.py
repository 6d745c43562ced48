"""A report for the terminal, in tables that fit 80 columns."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from xrec_lightning.data.findings import SEVERITIES, Finding
from xrec_lightning.data.report.domains import DomainFacts, Overlap
from xrec_lightning.data.report.facts import LogFacts, Report, TableFacts, count_severities

_COLORS = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_MATRIX = 9
"""Most domains whose overlap fits a matrix of 80 columns."""


def render_report(report: Report, top: int = 10) -> Group:
    """Return the report for the terminal.

    Args:
        report: What was found.
        top: Most rows of each list: columns, domains, event types, users.
    """
    parts: list[RenderableType] = []
    if report.tables:
        parts.append(_tables(report.tables, top))
    if report.log is not None:
        parts += [_log(report.log, top), _spread(report.log), _fastest(report.log, top)]
    if report.domains:
        parts.append(_domains(report.domains, top))
    if len(report.domains) > 1:
        parts.append(_overlap(report.domains, report.overlap, top))
    parts += [_findings(report.findings), Text(verdict(report.findings))]
    return Group(*parts)


def verdict(findings: Sequence[Finding]) -> str:
    """Return how many findings there are of each severity, and whether `prepare` would refuse."""
    counts = count_severities(findings)
    listed = ", ".join(f"{name}: {counts[name]}" for name in SEVERITIES)
    end = "`xrec prepare` would refuse" if counts["error"] else "`xrec prepare` can go on"
    return f"{listed}; {end}"


def _tables(tables: Sequence[TableFacts], top: int) -> Table:
    rendered = _table("Tables", ["table", "column", "type"], ["nulls", "share"])
    for each in tables:
        rendered.add_row(f"[bold]{each.table}[/]", _shorten(each.files), f"{each.rows:,} rows")
        for column in each.columns[:top]:
            share = f"{column.nulls / each.rows:.1%}" if each.rows else "-"
            rendered.add_row(
                "", escape(column.name), escape(column.dtype), f"{column.nulls:,}", share
            )
        if len(each.columns) > top:
            rendered.add_row("", f"… {len(each.columns) - top} more")
        rendered.add_section()
    return rendered


def _log(log: LogFacts, top: int) -> Table:
    rendered = _table("Interactions", ["fact"], ["value"])
    tied = log.activity.last_tied_share
    facts = {
        "users, items": f"{log.users:,}, {log.items:,}",
        "usable rows": f"{log.accepted:,}",
        "density (sparsity)": f"{log.density:.4%} ({1 - log.density:.4%})",
        "first time": log.first_time or "- (order of the file)",
        "last time": log.last_time or "-",
        "sorted by": log.time_order,
        "exact duplicates": f"{log.duplicates:,}",
        "repeats of user and item": f"{log.repeats:,}",
        "events tied in time": f"{log.tied_events:,}",
        "users whose last event is tied": f"{tied:.1%}",
        "users of one domain only": f"{log.one_domain_users:,}",
        "ratings": "-" if log.rating_range is None else "{:g} to {:g}".format(*log.rating_range),
        **{f"event {escape(name)}": f"{n:,}" for name, n in list(log.event_types.items())[:top]},
    }
    for name, value in facts.items():
        rendered.add_row(name, value)
    return rendered


def _spread(log: LogFacts) -> Group:
    lengths = _table("Events of a user", [], list(log.activity.history_lengths))
    lengths.add_row(*(f"{value:,.0f}" for value in log.activity.history_lengths.values()))
    shares = log.popularity.top_shares
    curve = _table("Events of the most popular items", [], [*(f"top {n}" for n in shares), "Gini"])
    curve.add_row(*(f"{each:.1%}" for each in shares.values()), f"{log.popularity.gini:.3f}")
    return Group(lengths, curve)


def _fastest(log: LogFacts, top: int) -> Table:
    limits = f"suspicious beyond {log.activity.rate_limit} and {log.activity.streak_limit}"
    headers = ["rows in an hour", "hours in a row", "rows"]
    rendered = _table(f"Fastest users ({limits})", ["user"], headers)
    for user in log.fastest_users[:top]:
        cells = (f"{each:,}" for each in user[1:])
        rendered.add_row(escape(user.user_id), *cells)
    return rendered


def _domains(domains: Sequence[DomainFacts], top: int) -> Table:
    headers = ["users", "only here", "items", "events", "with text"]
    rendered = _table("Domains", ["domain"], headers)
    for each in domains[:top]:
        numbers = (each.users, each.only_users, each.items, each.events)
        cells = (f"{number:,}" for number in numbers)
        rendered.add_row(escape(each.domain), *cells, f"{each.text_coverage:.1%}")
    if len(domains) > top:
        rendered.add_row(f"… {len(domains) - top} more")
    return rendered


def _overlap(domains: Sequence[DomainFacts], overlap: Sequence[Overlap], top: int) -> Table:
    """Return shared users as a matrix, or, of many domains, the pairs that share most."""
    title = "Users with events in both domains"
    if len(domains) > min(top, _MATRIX):
        rendered = _table(title, ["domain", "domain"], ["users"])
        for pair in sorted(overlap, key=lambda pair: -pair.users)[:top]:
            rendered.add_row(escape(pair.left), escape(pair.right), f"{pair.users:,}")
        return rendered
    names = [each.domain for each in domains]
    shared = {frozenset((pair.left, pair.right)): pair.users for pair in overlap}
    rendered = _table(title, ["domain"], [str(number) for number in range(1, len(names))])
    for number, left in enumerate(names, 1):
        cells = [f"{shared.get(frozenset((left, right)), 0):,}" for right in names[: number - 1]]
        rendered.add_row(f"{number} {escape(left)}", *cells)
    return rendered


def _findings(findings: Sequence[Finding]) -> RenderableType:
    if not findings:
        return Text("nothing found")
    rendered = Table(title="Findings", title_justify="left", show_lines=True, width=80)
    rendered.add_column("finding", overflow="fold")
    rendered.add_column("count", justify="right")
    for each in findings:
        color = _COLORS[each.severity]
        lines = [f"[{color}]{each.severity}[/] [bold]{each.code}[/]: {escape(each.message)}"]
        if each.file is not None or each.example is not None:
            lines.append(f"[dim]{escape(_place(each))}[/]")
        lines.append(f"→ {escape(each.remedy)}")
        rendered.add_row("\n".join(lines), f"{each.count:,}\n{each.share:.1%}")
    return rendered


def _place(finding: Finding) -> str:
    parts = [] if finding.file is None else [finding.file]
    if finding.row is not None:
        parts.append(f"row {finding.row:,}")
    if finding.column is not None:
        parts.append(f"{finding.column}")
    place = ", ".join(parts)
    return place if finding.example is None else f"{place}: {finding.example}"


def _shorten(files: Sequence[str]) -> str:
    return escape(files[0]) + (f" and {len(files) - 1} more" if len(files) > 1 else "")


def _table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    rendered = Table(title=title, title_justify="left")
    for header in left:
        rendered.add_column(header, overflow="fold")
    for header in right:
        rendered.add_column(header, justify="right")
    return rendered
