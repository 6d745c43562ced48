"""Small logs, written out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.tables import InteractionsConfig, ItemsConfig
from xrec_lightning.data.prepared import Prepared

HEADER = "user_id,item_id,domain,timestamp\n"
LOG = HEADER + "u,a,x,1\nu,b,y,2\nu,c,x,3\nv,c,x,1\nv,a,x,2\nv,b,y,3\n"
ITEMS = "item_id,domain,title\na,x,Tea\nb,y,Pot\nc,x,\n"

Row = tuple[str, str, str, int]


@pytest.fixture(scope="session")
def make_log() -> Callable[[Sequence[Row]], pl.DataFrame]:
    """Return a function of rows (user, item, domain, time) that gives a log as it is read."""

    def make(rows: Sequence[Row]) -> pl.DataFrame:
        names = ["user_id", "item_id", "domain", "timestamp"]
        log = pl.DataFrame(rows, schema=names, orient="row").with_row_index("row")
        source = pl.Series("source", ["log.csv"] * len(log), pl.Enum(["log.csv"]))
        value = log["timestamp"].cast(pl.String).alias("value")
        return log.with_columns(source, value, pl.lit("buy").alias("event"))

    return make


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., PrepareConfig]:
    """Return a function of the log's text that gives its config."""

    def make(log: str = LOG, items: str | None = ITEMS, **changes: object) -> PrepareConfig:
        (tmp_path / "log.csv").write_text(log)
        config = PrepareConfig(
            interactions=InteractionsConfig(path=str(tmp_path / "log.csv")),
            output=str(tmp_path / "prepared"),
        )
        if items is not None:
            (tmp_path / "items.csv").write_text(items)
            table = ItemsConfig(path=str(tmp_path / "items.csv"), title="title", text=["title"])
            config = replace(config, items=table)
        return replace(config, **changes)

    return make


@pytest.fixture(scope="session")
def open_whole() -> Callable[[Path], list[Prepared]]:
    """Return a function of an output folder that gives what it holds, all of it whole."""

    def open_all(output: Path) -> list[Prepared]:
        folders = sorted(output.iterdir()) if output.exists() else []
        for folder in folders:
            assert not any(path.name.startswith(".") for path in [folder, *folder.rglob("*")])
            for path in folder.rglob("*.parquet"):
                pl.read_parquet(path)
            for path in folder.rglob("*.npy"):
                np.load(path)
        found = [Prepared.open(folder) for folder in folders]
        for prepared in found:
            refuse_overlap(prepared)
        return found

    return open_all


def refuse_overlap(prepared: Prepared) -> None:
    """Check, row by row, that what is tested is later than what trains and what is shown."""
    slack = prepared.manifest["config"]["split"]["ties"] == "file"
    times = prepared.times.tolist()
    for name in ("val", "test"):
        for target in prepared.targets(name).to_dicts():
            user = target["user_index"] - 1
            start, end = prepared.offsets[user], prepared.train_ends[user]
            assert start == target["history_start"] < target["history_end"]
            shown = times[start : target["history_end"]]
            trained = [] if target["is_hidden"] else times[start:end]
            assert all(time < target["timestamp"] + slack for time in shown + trained)
