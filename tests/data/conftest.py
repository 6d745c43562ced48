"""Small logs, written out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.tables import InteractionsConfig, ItemsConfig

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
