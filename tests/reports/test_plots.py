import builtins
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

from xrec_lightning.reports.embedding_map import EmbeddingMap
from xrec_lightning.reports.plots import (
    COLORS,
    domain_maps,
    gain_lines,
    learning_curves,
    popularity_gains,
    read_curve,
    slice_bars,
)

TABLE = pl.DataFrame(
    {
        "model": ["sequence"] * 2 + ["fused"] * 2,
        "slice": ["head", "cold"] * 2,
        "num_targets": [90, 10] * 2,
        "value": [0.05, 0.0, 0.06, 0.01],
        "difference": [0.0, 0.0, 0.01, 0.01],
        "low": [0.0, 0.0, 0.005, -0.002],
        "high": [0.0, 0.0, 0.015, 0.022],
    }
)


def words(svg: str) -> list[str]:
    """Return the texts of an SVG, in order; raises when it is no XML."""
    texts = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(text.itertext()).strip() for text in texts]


def test_bars_name_slices_and_models() -> None:
    svg = slice_bars(TABLE, "sequence")
    assert {"head", "cold", "sequence", "fused", "NDCG@10"} <= set(words(svg))
    assert COLORS[0] in svg
    assert COLORS[1] in svg


def test_gains_run_from_cold_to_head_and_leave_the_baseline_out() -> None:
    texts = words(popularity_gains(TABLE, "sequence"))
    assert "sequence" not in texts
    assert "fused" in texts
    assert texts.index("cold") < texts.index("head")
    assert "tail" not in texts


def test_lines_and_maps_name_models_and_domains() -> None:
    curve = TABLE.with_columns(count=pl.Series([0.0, 9.0] * 2)).filter(model="fused")
    svg = gain_lines(curve, "sequence", ["sequence", "fused"])
    assert {"fused", "NDCG@10 less sequence"} <= set(words(svg))
    assert COLORS[1] in svg
    assert COLORS[0] not in svg, "each model keeps its color"
    points = np.array([[0.0, 1.0], [2.0, 3.0]])
    maps = [EmbeddingMap(title, points, np.array([0, 1]), 0.25) for title in ("before", "after")]
    texts = words(domain_maps(maps, ["tea", "pots"]))
    assert {"tea", "pots"} <= set(texts)
    assert sum("25%" in text for text in texts) == 2


def test_the_same_table_gives_the_same_bytes() -> None:
    assert slice_bars(TABLE, "sequence") == slice_bars(TABLE, "sequence")


def write_log(folder: Path, text: str, age: int) -> None:
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(text)
    os.utime(folder / "metrics.csv", (1000 - age, 1000 - age))


def test_the_newest_log_with_the_metric_is_read(tmp_path: Path) -> None:
    log = "epoch,step,train/loss,val/ndcg@10\n0,9,5.1,\n0,9,,0.01\n1,19,,{}\n"
    write_log(tmp_path / "logs" / "fit" / "version_0", log.format("0.02"), age=20)
    write_log(tmp_path / "logs" / "fit" / "version_1", log.format("0.03"), age=10)
    write_log(tmp_path / "logs" / "test" / "version_0", "step,test/ndcg@10\n19,0.1\n", age=0)
    curve = read_curve(tmp_path, "val/ndcg@10")
    assert curve is not None
    assert curve.rows() == [(9, 0.01), (19, 0.03)]
    svg = learning_curves({"fused": curve}, "val/ndcg@10", ["sequence", "fused"])
    assert "fused" in words(svg)
    assert COLORS[1] in svg
    assert COLORS[0] not in svg


def test_a_run_without_a_curve_has_none(tmp_path: Path) -> None:
    assert read_curve(tmp_path, "val/ndcg@10") is None
    write_log(tmp_path / "logs", "epoch,step,val/ndcg@10\n0,9,0.1\n", age=0)
    assert read_curve(tmp_path, "val/ndcg@10") is None


def test_a_missing_matplotlib_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return import_module(name, *rest)

    import_module = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"pip install 'xrec-lightning\[plots\]'"):
        slice_bars(TABLE, "sequence")
