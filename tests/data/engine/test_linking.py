"""How many linked ids occur."""

from pathlib import Path

import polars as pl

from xrec_lightning.data.config.tables import InteractionsConfig
from xrec_lightning.data.engine.engines import LocalEngine
from xrec_lightning.data.engine.linking import count_linked
from xrec_lightning.data.engine.log import open_log
from xrec_lightning.data.raw.kinds import SourceFile


def mapping(*pairs: tuple[str, str]) -> pl.DataFrame:
    dtypes = {"id": pl.String, "canonical": pl.String}
    return pl.DataFrame(list(pairs), schema=dtypes, orient="row")


def test_ids_of_the_log_and_of_the_tables_occur(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,timestamp\nU,i,1\nu,j,2\nV,i,3\n")
    users = mapping(("U", "U"), ("V", "V"), ("u", "U"), ("v", "V"), ("w", "V"))
    items = mapping(("j", "j"), ("k", "j"), ("l", "j"))
    log = open_log([SourceFile(path, "log.csv")], InteractionsConfig(path="-"), users, items)
    catalog = pl.LazyFrame({"item_id": ["k", "z"]})
    profiles = pl.LazyFrame({"user_id": ["v"]})
    links = {"user": users, "item": items}
    assert count_linked(links, log, catalog, profiles, LocalEngine()) == {
        "user": {"linked": 5, "merged": 2, "absent": 1},
        "item": {"linked": 3, "merged": 1, "absent": 1},
    }
    assert count_linked({"user": users, "item": mapping()}, log, None, None, LocalEngine()) == {
        "user": {"linked": 5, "merged": 1, "absent": 2}
    }
    assert count_linked({}, log, catalog, profiles, LocalEngine()) == {}
