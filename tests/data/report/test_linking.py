"""Linked ids in the tables that are checked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.tables import LinksConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.report.inspect import inspect_data
from xrec_lightning.data.report.linking import link_ids, read_all_links

NOW = 1_700_000_000


def write(folder: Path, text: str) -> LinksConfig:
    path = folder / "links.csv"
    path.write_text(text)
    return LinksConfig(path=str(path))


def test_ids_of_each_kind_become_the_smallest(tmp_path: Path) -> None:
    text = "left_id,right_id,kind\nu2,u1,user\nu3,u2,user\nb,a,item\nu1,,user\n"
    links = read_all_links(write(tmp_path, text))
    rows = pl.LazyFrame({"user_id": ["u3", "b", None], "item_id": ["b", "u3", "c"], "n": [1, 2, 3]})
    assert link_ids(rows, links).collect().rows() == [
        ("u1", "a", 1),
        ("b", "u3", 2),
        (None, "c", 3),
    ]
    (finding,) = links.findings
    assert (finding.code, finding.count, finding.share) == ("links_unusable", 1, 0.25)


def test_without_links_rows_are_the_same() -> None:
    rows = pl.LazyFrame({"user_id": ["u"], "item_id": ["a"]})
    links = read_all_links(None)
    assert link_ids(rows, links).collect().equals(rows.collect())
    assert links.findings == []


def test_links_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"links\.csv.*right_id"):
        read_all_links(write(tmp_path, "left_id,right\nu,v\n"))


def test_linked_users_are_one_user(make_data: Callable[..., PrepareConfig], tmp_path: Path) -> None:
    def change(data: Any) -> None:
        for row in data.log:
            row[0] = f"{row[0]}-{row[2]}"
        data.users[:] = [[f"{user}-x", about] for user, about in data.users]

    apart = inspect_data(make_data(change), NOW)
    assert "no_shared_users" in [each.code for each in apart.findings]
    lines = ["left_id,right_id", *(f"u{n}-x,u{n}-y" for n in range(4))]
    (tmp_path / "links.csv").write_text("\n".join(lines))
    report = inspect_data(make_data(change, links=LinksConfig(path=f"{tmp_path}/links.csv")), NOW)
    assert report.findings == []
    assert report.overlap[0].users == 4
