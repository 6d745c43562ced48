"""A small fusion graph, written out."""

import json

import polars as pl
import pytest

from xrec_lightning.data.prepared import Prepared

INT = pl.Int32


@pytest.fixture(scope="session")
def small_graph(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Users 1 (u) and 2 (v), items 1 (a), 2 (b) and 3 (c), and every kind of edge."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "graph").mkdir()
    counts = {"users": 2, "items": 3}
    manifest = {
        "counts": counts,
        "domains": ["pots", "tea"],
        "config": {"domains": {"tea": "teas of the world"}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    tables = {
        "items": pl.DataFrame(
            {
                "item_index": [1, 2, 3],
                "item_id": ["a", "b", "c"],
                "domains": [["tea"], ["pots", "tea"], ["pots"]],
                "title": ["Green tea", None, "Pot [iron]"],
                "text": ["Green tea", None, "Pot [iron]"],
                "train_count": [3, 1, 0],
            },
            schema_overrides={"item_index": INT},
        ),
        "users": pl.DataFrame(
            {"user_index": [1, 2], "user_id": ["u", "v"], "text": ["likes tea", None]},
            schema_overrides={"user_index": INT},
        ),
        "graph/user_item": pl.DataFrame(
            [
                (1, 1, "buy", 2, 6.0),
                (1, 1, "view", 1, 0.5),
                (1, 2, "view", 1, 0.5),
                (2, 1, "buy", 1, 3.0),
            ],
            schema={
                "user_index": INT,
                "item_index": INT,
                "event": pl.String,
                "count": INT,
                "weight": pl.Float32,
            },
            orient="row",
        ),
        "graph/item_item": pl.DataFrame(
            [(1, 2, 4), (1, 3, 1)],
            schema={"left_index": INT, "right_index": INT, "count": INT},
            orient="row",
        ),
        "graph/item_domain": pl.DataFrame(
            {"item_index": [1, 2, 2, 3], "domain": ["tea", "pots", "tea", "pots"]},
            schema_overrides={"item_index": INT},
        ),
        "graph/item_tag": pl.DataFrame(
            {"item_index": [1, 2], "tag": ["leaf", "gift"]}, schema_overrides={"item_index": INT}
        ),
        "graph/item_brand": pl.DataFrame(
            {"item_index": [3], "brand": ["Ours"]}, schema_overrides={"item_index": INT}
        ),
        "graph/user_profile": pl.DataFrame(
            {"user_index": [1], "field": ["home"], "value": ["Kyoto"]},
            schema_overrides={"user_index": INT},
        ),
        "graph/entities": pl.DataFrame(
            [(1, "Kyoto", "entity", None), (2, "a", "item", 1), (3, "leaf", "tag", None)],
            schema={"entity_index": INT, "name": pl.String, "kind": pl.String, "item_index": INT},
            orient="row",
        ),
        "graph/entity_entity": pl.DataFrame(
            [(1, "is", 1, None, 1.0), (2, "grows_in", 1, "tea", 2.0), (3, "sold in", 1, None, 1.0)],
            schema={
                "head_index": INT,
                "relation": pl.String,
                "tail_index": INT,
                "domain": pl.String,
                "weight": pl.Float32,
            },
            orient="row",
        ),
    }
    for name, rows in tables.items():
        rows.write_parquet(folder / f"{name}.parquet")
    return Prepared.open(folder)
