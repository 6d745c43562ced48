"""``xrec graph``."""

import json
import re
from pathlib import Path

import pytest

from xrec_lightning.__main__ import main
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared


def test_nodes_and_edges_are_summed_up(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "graph.json"
    assert main(["graph", str(tiny_dataset), f"--json={path}"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"user +│ +24", shown)
    assert re.search(r"item_brand +│ +30 +│ +0\.33", shown)
    written = json.loads(path.read_text())
    assert written["nodes"]["brand"] == 3
    brands = next(row for row in written["edges"] if row["edge"] == "item_brand")
    assert brands["degrees"][1] == {"kind": "brand", "least": 10, "median": 10.0, "most": 10}


def test_an_item_is_shown_with_titles_and_counts(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "item.json"
    options = ["--item=i03", "--top=1", "--depth=2", f"--json={path}"]
    assert main(["graph", str(tiny_dataset), *options]) == 0
    shown = capsys.readouterr().out
    assert "item i03 green tea 3" in shown
    assert "brand brand 0" in shown
    prepared = Prepared.open(locate(tiny_dataset))
    edges = prepared.graph("item_item")
    around = sum(int((edges[name] == 4).sum()) for name in ("left_index", "right_index"))
    assert f"item_item {around}" in shown
    assert f"{around - 1} more" in shown
    groups = {group["edge"]: group for group in json.loads(path.read_text())["groups"]}
    assert groups["item_item"]["total"] == around
    assert groups["item_brand"]["neighbors"][0]["groups"][0]["edge"] == "item_brand"


def test_a_user_is_shown_with_the_items_of_training(
    tiny_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["graph", str(tiny_dataset), "--user=u03", "--top=99"]) == 0
    shown = capsys.readouterr().out
    prepared = Prepared.open(locate(tiny_dataset))
    log = prepared.interactions().collect().filter(user_id="u03", split="train")
    assert set(re.findall(r"item (i\d\d)", shown)) == set(log["item_id"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--user=u99"], "no user `u99`; did you mean `u19`, `u09`?"),
        (["--top=0"], "--top: 0 is not positive"),
        (["--item=i03", "--depth=0"], "--depth: 0 is not positive"),
    ],
)
def test_wrong_values_are_refused(
    tiny_dataset: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["graph", str(tiny_dataset), *options]) == 1
    assert message in capsys.readouterr().err
