"""What is known of items, tags and other entities: head, relation, tail."""

from collections.abc import Sequence

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.errors import InputError, suggest
from xrec_lightning.data.text.verbalize import join_sentences

ENTITY_INDEX = "entity_index"
NAME = "name"
HEAD_INDEX = "head_index"
TAIL_INDEX = "tail_index"
ITEM = "item"
TAG = "tag"
ENTITY = "entity"
INCOMPLETE = "head, relation or tail is missing"
BAD_WEIGHT = "the weight is not a finite number"

_PARTS = (schema.HEAD, schema.RELATION, schema.TAIL)
_FACT = "__fact"
"""A name that no column of a file has."""


def flag_triples(triples: pl.DataFrame) -> pl.DataFrame:
    """Return the triples, trimmed, with a column `reason`, null where they can be used.

    Triples without a domain have a null one, those without a weight have 1.
    """
    trimmed = triples.with_columns(pl.col(_PARTS).str.strip_chars())
    weight = pl.lit(1.0)
    if schema.WEIGHT in triples.columns:
        weight = pl.col(schema.WEIGHT).fill_null(1.0)
    named = pl.all_horizontal((pl.col(name) != "").fill_null(False) for name in _PARTS)
    domain = pl.col(schema.DOMAIN) if schema.DOMAIN in triples.columns else pl.lit(None)
    return trimmed.with_columns(
        domain.cast(pl.String).alias(schema.DOMAIN), weight.cast(pl.Float32).alias(schema.WEIGHT)
    ).with_columns(
        pl.when(~named)
        .then(pl.lit(INCOMPLETE))
        .when(~pl.col(schema.WEIGHT).is_finite())
        .then(pl.lit(BAD_WEIGHT))
        .alias(schema.REASON)
    )


def index_entities(triples: pl.DataFrame, items: pl.DataFrame, tags: pl.Series) -> pl.DataFrame:
    """Return all heads and tails, sorted by name.

    Args:
        triples: Triples without a `reason`.
        items: Items with item_id and item_index.
        tags: Names of the tags.

    Returns:
        Columns entity_index (from 1), name, kind (item, tag or entity), and item_index, null
        where the entity is no item. An item whose id is the name of a tag is an item.
    """
    names = pl.concat([triples[schema.HEAD], triples[schema.TAIL]]).unique().sort()
    rows = names.alias(NAME).to_frame().with_row_index(ENTITY_INDEX, offset=1)
    ids = items.select(pl.col(schema.ITEM_ID).alias(NAME), schema.ITEM_INDEX)
    kind = (
        pl.when(pl.col(schema.ITEM_INDEX).is_not_null())
        .then(pl.lit(ITEM))
        .when(pl.col(NAME).is_in(tags.implode()))
        .then(pl.lit(TAG))
        .otherwise(pl.lit(ENTITY))
    )
    return rows.join(ids, on=NAME, how="left", maintain_order="left").select(
        pl.col(ENTITY_INDEX).cast(pl.Int32), NAME, kind.alias(schema.KIND), schema.ITEM_INDEX
    )


def entity_entity_edges(triples: pl.DataFrame, entities: pl.DataFrame) -> pl.DataFrame:
    """Return the triples in indices, weights of equal ones summed.

    Args:
        triples: Triples without a `reason`.
        entities: Result of `index_entities`.

    Returns:
        Columns head_index, relation, tail_index, domain (null where none is given) and weight.
    """
    edges = triples
    for name, index in ((schema.HEAD, HEAD_INDEX), (schema.TAIL, TAIL_INDEX)):
        ids = entities.select(pl.col(NAME).alias(name), pl.col(ENTITY_INDEX).alias(index))
        edges = edges.join(ids, on=name, how="left")
    keys = [HEAD_INDEX, schema.RELATION, TAIL_INDEX, schema.DOMAIN]
    # In the order of their size, equal weights add up to equal sums whatever the order of the file.
    weights = pl.col(schema.WEIGHT).cast(pl.Float64).sort().sum().cast(pl.Float32)
    return edges.group_by(keys).agg(weights).sort(keys)


def refuse_unknown_relations(triples: pl.DataFrame, relations: Sequence[str], where: str) -> None:
    """Check that relations occur in the triples.

    Args:
        triples: All triples.
        relations: Names from the config.
        where: File and key of them, for messages.

    Raises:
        InputError: It names the nearest relation.
    """
    valid = triples[schema.RELATION].drop_nulls().unique().to_list()
    for name in relations:
        if name not in valid:
            raise InputError(
                f"{where}: no triple has the relation `{name}`; {suggest(name, valid)}"
            )


def add_facts(
    items: pl.DataFrame, triples: pl.DataFrame, relations: Sequence[str], max_words: int = 0
) -> pl.DataFrame:
    """Return the items with `relation: tail, tail` at the end of their text.

    Tails that are items are called by their titles. Relations are in the order of ``relations``,
    tails sorted, each once.

    Args:
        items: Items with item_id, title and text.
        triples: Triples without a `reason`.
        relations: Those that are added; the others are not.
        max_words: Longest text, in words; 0 keeps all.
    """
    titles = items.select(pl.col(schema.ITEM_ID).alias(schema.TAIL), schema.TITLE)
    known = triples.filter(pl.col(schema.RELATION).is_in(list(relations)))
    known = known.join(titles, on=schema.TAIL, how="left")
    called = pl.coalesce(schema.TITLE, schema.TAIL)
    relation = pl.col(schema.RELATION)
    facts = (
        known.group_by(schema.HEAD, schema.RELATION)
        .agg(called.unique().sort().str.join(", ").alias(_FACT))
        .sort(relation.replace_strict({name: at for at, name in enumerate(relations)}, default=-1))
        .group_by(schema.HEAD, maintain_order=True)
        .agg(pl.concat_str(relation.str.replace_all("_", " "), pl.lit(": "), _FACT).str.join(". "))
        .rename({schema.HEAD: schema.ITEM_ID, schema.RELATION: _FACT})
    )
    text = join_sentences([pl.col(schema.TEXT), pl.col(_FACT)], max_words)
    joined = items.join(facts, on=schema.ITEM_ID, how="left", maintain_order="left")
    return joined.with_columns(text.alias(schema.TEXT)).drop(_FACT)
