"""The typed edges of a prepared folder: which nodes each kind of edge joins, and how it is read."""

from typing import NamedTuple

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.steps.graph import (
    BRAND,
    COUNT,
    FIELD,
    LEFT_INDEX,
    RIGHT_INDEX,
    TAG,
    VALUE,
)
from xrec_lightning.data.steps.triples import ENTITY_INDEX, HEAD_INDEX, NAME, TAIL_INDEX

USER_NODE = "user"
ITEM_NODE = "item"
DOMAIN_NODE = "domain"
TAG_NODE = "tag"
BRAND_NODE = "brand"
PROFILE_NODE = "profile"
ENTITY_NODE = "entity"
NODE_KINDS = (
    USER_NODE,
    ITEM_NODE,
    DOMAIN_NODE,
    TAG_NODE,
    BRAND_NODE,
    PROFILE_NODE,
    ENTITY_NODE,
)
INDEXED_KINDS = (USER_NODE, ITEM_NODE, ENTITY_NODE)
"""Kinds whose nodes are told by their index in edges, the others by their name."""

LEFT = "left"
RIGHT = "right"
LABEL = "label"
ENTITIES = "entities"


class EdgeType(NamedTuple):
    """One kind of edge."""

    name: str
    """Name of its file."""
    left: str
    """Kind of the nodes at one end."""
    left_end: pl.Expr
    right: str
    """Kind of the nodes at the other end."""
    right_end: pl.Expr
    label: pl.Expr = pl.lit(None)
    """What tells edges of the same nodes apart."""
    weight: pl.Expr = pl.lit(1.0)


_ITEM = pl.col(schema.ITEM_INDEX)
_USER = pl.col(schema.USER_INDEX)
_ENDS = {
    DOMAIN_NODE: pl.col(schema.DOMAIN),
    TAG_NODE: pl.col(TAG),
    BRAND_NODE: pl.col(BRAND),
    PROFILE_NODE: pl.concat_str(FIELD, pl.lit(": "), VALUE),
}
EDGE_TYPES = (
    EdgeType(
        "user_item",
        USER_NODE,
        _USER,
        ITEM_NODE,
        _ITEM,
        pl.col(schema.EVENT),
        pl.col(schema.WEIGHT),
    ),
    EdgeType(
        "item_item",
        ITEM_NODE,
        pl.col(LEFT_INDEX),
        ITEM_NODE,
        pl.col(RIGHT_INDEX),
        weight=pl.col(COUNT),
    ),
    *(
        EdgeType(f"item_{kind}", ITEM_NODE, _ITEM, kind, _ENDS[kind])
        for kind in (DOMAIN_NODE, TAG_NODE, BRAND_NODE)
    ),
    EdgeType("user_profile", USER_NODE, _USER, PROFILE_NODE, _ENDS[PROFILE_NODE]),
    EdgeType(
        "entity_entity",
        ENTITY_NODE,
        pl.col(HEAD_INDEX),
        ENTITY_NODE,
        pl.col(TAIL_INDEX),
        pl.col(schema.RELATION),
        pl.col(schema.WEIGHT),
    ),
)
"""All kinds of edges; a prepared folder has those that its config asks for."""


def edge_types(prepared: Prepared) -> list[EdgeType]:
    """Return the kinds of edges that a prepared folder has."""
    return [each for each in EDGE_TYPES if _path_exists(prepared, each.name)]


def scan_edges(prepared: Prepared, edge_type: EdgeType) -> pl.LazyFrame:
    """Return edges as left, right, label and weight.

    An end of kind user, item or entity is the index, another one the name.
    """
    path = prepared.folder / schema.GRAPH_FOLDER / f"{edge_type.name}.parquet"
    return pl.scan_parquet(path).select(
        edge_type.left_end.alias(LEFT),
        edge_type.right_end.alias(RIGHT),
        edge_type.label.cast(pl.String).alias(LABEL),
        edge_type.weight.cast(pl.Float32).alias(schema.WEIGHT),
    )


def read_entities(prepared: Prepared) -> pl.DataFrame:
    """Return the entities: entity_index, name, kind and item_index; none without knowledge."""
    if _path_exists(prepared, ENTITIES):
        return prepared.graph(ENTITIES)
    return pl.DataFrame(
        schema={
            ENTITY_INDEX: pl.Int32,
            NAME: pl.String,
            schema.KIND: pl.String,
            schema.ITEM_INDEX: pl.Int32,
        }
    )


def _path_exists(prepared: Prepared, name: str) -> bool:
    return (prepared.folder / schema.GRAPH_FOLDER / f"{name}.parquet").is_file()
