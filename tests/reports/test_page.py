from base64 import b64decode
from html.parser import HTMLParser

from xrec_lightning.reports.page import Cell, cards, details, figure, page, section, table

VOID = {"meta", "img", "br"}


class Balance(HTMLParser):
    """Collect the tags that are open at the end, and the addresses that the page asks for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def make_page() -> str:
    cells = [[Cell("fused"), Cell("0.5", "+0.1", "good", is_best=True)]]
    block = table([Cell("model"), Cell("all", "9 targets")], cells)
    return page(
        "Title",
        "Lead",
        [
            cards([("1", "one")]),
            section("S", "E", block, figure("<svg/>", "d"), details("D", block)),
        ],
    )


def test_every_tag_is_closed_and_nothing_is_fetched() -> None:
    balance = Balance(make_page())
    assert balance.open == []
    assert len(balance.sources) == 1
    assert balance.sources[0].startswith("data:image/svg+xml;base64,")


def test_figures_carry_their_svg() -> None:
    data = figure("<svg>é</svg>", "d").partition("base64,")[2].partition('"')[0]
    assert b64decode(data).decode() == "<svg>é</svg>"


def test_cells_show_the_best_and_the_tone() -> None:
    html = make_page()
    assert '<td class=best>0.5<small class="good">+0.1</small></td>' in html
    assert "<td>fused</td>" in html


def test_text_is_escaped_everywhere() -> None:
    evil = '<script>&"'
    html = page(
        evil,
        evil,
        [
            cards([(evil, evil)]),
            section(evil, evil, table([Cell(evil)], [[Cell(evil, evil)]])),
            figure("<svg/>", evil),
            details(evil, ""),
        ],
    )
    assert "<script>" not in html
    assert '&"' not in html
