"""One self-contained HTML page: its style, tables and figures."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

CSS = """
:root { --ink: #1d2433; --soft: #5b6577; --line: #e3e6ec; --good: #1a7f37; --bad: #c0262d; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f6f9; color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 0 0 4px; }
p { margin: 4px 0 12px; color: var(--soft); max-width: 78ch; }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px;
  padding: 20px 24px; margin-top: 20px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px;
  font-variant-numeric: tabular-nums; }
th, td { padding: 7px 10px; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; vertical-align: top; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
th small, td small { display: block; font-weight: 400; font-size: 11.5px; color: var(--soft); }
td:first-child, th:first-child, .text td, .text th { text-align: left; }
.text td:nth-last-child(-n + 2) { white-space: normal; }
td.best { font-weight: 700; }
td .good { color: var(--good); } td .bad { color: var(--bad); }
tbody tr:last-child td { border-bottom: 0; }
.cards { display: flex; flex-wrap: wrap; gap: 16px; margin-top: 20px; }
.card { flex: 1 1 200px; background: #fff; border: 1px solid var(--line); border-radius: 10px;
  padding: 14px 18px; }
.card b { display: block; font-size: 24px; line-height: 1.25; }
.card span { color: var(--soft); font-size: 13px; }
img { display: block; width: 100%; height: auto; margin: 8px 0; }
details { border-top: 1px solid var(--line); padding: 10px 0; }
summary { cursor: pointer; font-weight: 600; }
"""


class Cell(NamedTuple):
    """A table cell: a figure or text, a smaller second line, and what it means."""

    text: str
    small: str = ""
    tone: str = ""
    """``good``, ``bad`` or nothing: the color of the second line."""
    is_best: bool = False


def page(title: str, lead: str, blocks: Sequence[str]) -> str:
    """Return the page; ``blocks`` are HTML, all else is text."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n<p>{escape(lead)}</p>\n"
        + "\n".join(blocks)
        + "\n</main>\n</body>\n</html>\n"
    )


def section(title: str, explanation: str, *blocks: str) -> str:
    """Return a titled part of the page; ``blocks`` are HTML, all else is text."""
    head = f"<h2>{escape(title)}</h2>\n<p>{escape(explanation)}</p>"
    return "<section>\n" + "\n".join([head, *blocks]) + "\n</section>"


def cards(figures: Sequence[tuple[str, str]]) -> str:
    """Return a row of cards, each a large figure and what it is."""
    items = "\n".join(
        f'<div class="card"><b>{escape(figure)}</b><span>{escape(label)}</span></div>'
        for figure, label in figures
    )
    return f'<div class="cards">\n{items}\n</div>'


def table(header: Sequence[Cell], rows: Sequence[Sequence[Cell]], kind: str = "figures") -> str:
    """Return a table; of the kind ``text``, all columns are aligned to the left."""
    head = "".join(f"<th>{_content(cell)}</th>" for cell in header)
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{' class=best' * cell.is_best}>{_content(cell)}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table class="{kind}">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def figure(svg: str, description: str) -> str:
    """Return an image that the page carries itself."""
    data = b64encode(svg.encode()).decode()
    return f'<img alt="{escape(description)}" src="data:image/svg+xml;base64,{data}">'


def details(summary: str, block: str, *, is_open: bool = False) -> str:
    """Return a block of HTML that opens on a click."""
    state = " open" if is_open else ""
    return f"<details{state}><summary>{escape(summary)}</summary>\n{block}\n</details>"


def _content(cell: Cell) -> str:
    small = f'<small class="{cell.tone}">{escape(cell.small)}</small>' if cell.small else ""
    return escape(cell.text) + small
