"""The knowledge texts of a prepared data set: items, user profiles, domains and entities."""

import hashlib

import polars as pl

from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.verbalize import domain_labels, join_sentences
from xrec_lightning.schema import (
    DOMAIN,
    DOMAIN_INDEX,
    DOMAINS,
    GRAPH_FOLDER,
    ITEM_ID,
    ITEM_INDEX,
    KIND,
    RELATION,
    TEST,
    TEXT,
    TITLE,
    TRAIN,
    TRAIN_COUNT,
    USER_ID,
    VAL,
)

ENTITY = "entity"
FACT = "fact"
KNOWLEDGE_SCHEMA = pl.Schema(dict.fromkeys((KIND, "id", DOMAIN, TEXT), pl.String()))
_TRIPLES = ("entities", "entity_entity")
_ENTITY_INDEX = "entity_index"
_HEAD = "head_index"
_TAIL = "tail_index"
TAGS_OF_DOMAIN = 12
EXAMPLES_OF_DOMAIN = 8


def knowledge_texts(prepared: Prepared) -> pl.DataFrame:
    """Return rows of kind, id, domain and text, those without text included.

    Kinds are item, user, domain, and entity for what triples name besides items. The domain of an
    item is its first one, that of an entity the only one of its triples, that of a user is null.
    """
    items = (
        prepared.items()
        .lazy()
        .select(
            pl.lit("item").alias(KIND),
            pl.col(ITEM_ID).alias("id"),
            pl.col(DOMAINS).list.first().alias(DOMAIN),
            TEXT,
        )
    )
    users = (
        prepared.users()
        .lazy()
        .select(
            pl.lit("user").alias(KIND),
            pl.col(USER_ID).alias("id"),
            pl.lit(None, dtype=pl.String).alias(DOMAIN),
            TEXT,
        )
    )
    entities = entity_texts(prepared).filter(pl.col(KIND) == ENTITY)
    frames = [items.collect(), users.collect(), domain_texts(prepared), entities]
    return pl.concat([frame.cast(KNOWLEDGE_SCHEMA) for frame in frames])


def domain_texts(prepared: Prepared) -> pl.DataFrame:
    """Return a text for each domain: its label, its frequent tags and its most chosen items.

    The label is the one in the data YAML, or the name in words.
    """
    tags = prepared.graph("item_tag")
    items = prepared.items().explode(DOMAINS)
    given = prepared.manifest["config"].get("domains", {})
    labels = domain_labels(prepared.domains, given, f"{prepared.folder}: domains")
    rows = []
    for name in prepared.domains:
        members = items.filter(pl.col(DOMAINS) == name)
        texts = [labels[name], *_frequent_tags(tags, members), *_chosen_titles(members)]
        rows.append(("domain", name, name, ", ".join(dict.fromkeys(texts))))
    return pl.DataFrame(rows, schema=KNOWLEDGE_SCHEMA, orient="row")


def entity_texts(prepared: Prepared) -> pl.DataFrame:
    """Return what triples say about each entity, "name. relation: tail, tail. relation: tail".

    Items are called by their titles. The kind is fact for items, which have a text of their own,
    and entity for all others, those of which nothing is said included.
    """
    if not all((prepared.folder / GRAPH_FOLDER / f"{name}.parquet").is_file() for name in _TRIPLES):
        return pl.DataFrame(schema=KNOWLEDGE_SCHEMA)
    entities, edges = (prepared.graph(name) for name in _TRIPLES)
    titles = prepared.items().select(ITEM_INDEX, TITLE)
    called = entities.join(titles, on=ITEM_INDEX, how="left", maintain_order="left").select(
        _ENTITY_INDEX,
        pl.when(pl.col(ITEM_INDEX).is_null())
        .then(pl.lit(ENTITY))
        .otherwise(pl.lit(FACT))
        .alias(KIND),
        pl.col("name").alias("id"),
        pl.coalesce(TITLE, "name").alias(TITLE),
    )
    facts = _facts(edges, called)
    joined = called.join(facts, left_on=_ENTITY_INDEX, right_on=_HEAD, how="left")
    is_said = (pl.col(KIND) == ENTITY) | pl.col(TEXT).is_not_null()
    text = join_sentences([pl.col(TITLE), pl.col(TEXT)])
    return joined.filter(is_said).sort(_ENTITY_INDEX).select(KIND, "id", DOMAIN, text.alias(TEXT))


def _facts(edges: pl.DataFrame, called: pl.DataFrame) -> pl.DataFrame:
    """Return the relations of each head as one text, and its domain if it has only one."""
    names = called.select(pl.col(_ENTITY_INDEX).alias(_TAIL), TITLE)
    tails = (
        edges.join(names, on=_TAIL)
        .group_by(_HEAD, RELATION)
        .agg(pl.col(TITLE).unique().sort().str.join(", "), pl.col(DOMAIN).unique())
        .sort(_HEAD, RELATION)
    )
    relation = pl.concat_str(pl.col(RELATION).str.replace_all("_", " "), pl.lit(": "), TITLE)
    facts = tails.group_by(_HEAD, maintain_order=True).agg(
        relation.str.join(". ").alias(TEXT), pl.col(DOMAIN).explode().drop_nulls().unique()
    )
    only = pl.when(pl.col(DOMAIN).list.len() == 1).then(pl.col(DOMAIN).list.first())
    return facts.with_columns(only.alias(DOMAIN))


def _frequent_tags(tags: pl.DataFrame, members: pl.DataFrame) -> list[str]:
    counts = tags.join(members, on="item_index", how="semi").group_by("tag").len()
    return (
        counts.sort(["len", "tag"], descending=[True, False])["tag"].head(TAGS_OF_DOMAIN).to_list()
    )


def _chosen_titles(members: pl.DataFrame) -> list[str]:
    named = members.filter(pl.col("title").is_not_null())
    titles = named.group_by("title").agg(pl.col(TRAIN_COUNT).sum())
    ordered = titles.sort([TRAIN_COUNT, "title"], descending=[True, False])
    return ordered["title"].head(EXAMPLES_OF_DOMAIN).to_list()


def corpus(prepared: Prepared) -> pl.DataFrame:
    """Return the distinct texts with the index of their domain, 0 where they are of none."""
    places = {name: index for index, name in enumerate(prepared.domains, start=1)}
    index = pl.col(DOMAIN).replace_strict(places, default=0, return_dtype=pl.Int64)
    facts = entity_texts(prepared).filter(pl.col(KIND) == FACT)
    texts = pl.concat([knowledge_texts(prepared), facts]).filter(pl.col(TEXT) != "")
    return texts.unique(TEXT, keep="first", maintain_order=True).select(
        TEXT, index.alias(DOMAIN_INDEX)
    )


def text_split(text: str, held_out: float) -> str:
    """Return the split of a text, decided by its hash alone, so that it never changes.

    Args:
        text: Any text.
        held_out: Share of the texts of validation and test together.
    """
    value = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") / 2**64
    if value < held_out / 2:
        return VAL
    return TEST if value < held_out else TRAIN
