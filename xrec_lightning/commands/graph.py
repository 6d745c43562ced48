"""``xrec graph``: the size of the fusion graph, or what surrounds a user or an item in it."""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from xrec_lightning.atomic import write_text
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.graph.edges import ITEM_NODE, USER_NODE
from xrec_lightning.data.graph.neighborhood import Group, Neighbor, find_node, neighborhood
from xrec_lightning.data.graph.summary import Degrees, GraphSummary, summarize
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared


def main(arguments: Sequence[str]) -> None:
    """Print the summary of a graph, or the neighborhood of a user or an item.

    Raises:
        InputError: If there is no such user or item.
        FileNotFoundError: If the data set is not prepared.
    """
    options = _parser().parse_args(arguments)
    for name in ("depth", "top"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name}: {getattr(options, name)} is not positive")
    prepared = Prepared.open(locate(options.dataset))
    found: GraphSummary | Neighbor
    shown: list[Table | Tree]
    if options.user is None and options.item is None:
        found = summarize(prepared)
        shown = [_nodes_table(found), _edges_table(found)]
    else:
        kind, name = (
            (ITEM_NODE, options.item) if options.user is None else (USER_NODE, options.user)
        )
        center = find_node(prepared, kind, name)
        found = neighborhood(prepared, center, options.depth, options.top)
        shown = [_tree(found)]
    console = Console()
    for each in shown:
        console.print(each)
    if options.json is not None:
        text = json.dumps(asdict(found), indent=2, ensure_ascii=False)
        write_text(text + "\n", options.json)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="xrec graph",
        description="Print the nodes and edges of the fusion graph by kind, with degrees and "
        "density, or what surrounds one user or item. Edges are of training events only.",
    )
    parser.add_argument("dataset", type=Path, help="prepared folder or data YAML")
    center = parser.add_mutually_exclusive_group()
    center.add_argument("--user", metavar="ID", help="show what surrounds this user")
    center.add_argument("--item", metavar="ID", help="show what surrounds this item")
    parser.add_argument("--depth", type=int, default=1, help="edges to the farthest nodes")
    parser.add_argument("--top", type=int, default=10, help="neighbors by edge kind and label")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it as JSON too")
    return parser


def _nodes_table(summary: GraphSummary) -> Table:
    table = Table(title="Nodes", title_justify="left")
    table.add_column("kind")
    table.add_column("nodes", justify="right")
    for kind, count in summary.nodes.items():
        table.add_row(kind, f"{count:,}")
    return table


def _edges_table(summary: GraphSummary) -> Table:
    table = Table(title="Edges, and how many a node has: least, median, most", title_justify="left")
    table.add_column("kind")
    for header in ("edges", "density"):
        table.add_column(header, justify="right")
    table.add_column("of each", no_wrap=True)
    for row in summary.edges:
        name = row.edge if row.label is None else f"  {escape(row.label)}"
        degrees = "\n".join(map(_degrees, row.degrees))
        table.add_row(name, f"{row.edges:,}", f"{row.density:.2g}", degrees)
    return table


def _degrees(degrees: Degrees) -> str:
    return f"{degrees.kind} {degrees.least:,} · {degrees.median:,g} · {degrees.most:,}"


def _tree(place: Neighbor) -> Tree:
    tree = Tree(_name(place))
    _grow(tree, place)
    return tree


def _grow(tree: Tree, place: Neighbor) -> None:
    for group in place.groups:
        branch = tree.add(_title(group))
        for neighbor in group.neighbors:
            weight = "" if neighbor.weight in (None, 1) else f" [dim]({neighbor.weight:g})[/]"
            _grow(branch.add(_name(neighbor) + weight), neighbor)
        if (hidden := group.total - len(group.neighbors)) > 0:
            branch.add(f"[dim]{hidden:,} more[/]")


def _name(place: Neighbor) -> str:
    title = "" if place.title is None else f" {escape(place.title)}"
    return f"{place.kind} [bold]{escape(place.name)}[/]{title}"


def _title(group: Group) -> str:
    label = "" if group.label is None else f" {escape(group.label)}"
    return f"[cyan]{group.edge}{label}[/] {group.total:,}"
