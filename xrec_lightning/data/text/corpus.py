"""The knowledge texts of a prepared data set: items, user profiles, domains and entities."""

import hashlib
from typing import Literal

import polars as pl

from xrec_lightning.data.errors import InputError
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
TAIL_START = "tail_start"
TripleTexts = Literal["none", "facts", "tails"]
"""How triples are in the corpus: not at all, as what is said of each entity, or each by itself."""
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
    if not _has_triples(prepared):
        return pl.DataFrame(schema=KNOWLEDGE_SCHEMA)
    called = _called(prepared)
    facts = _facts(prepared.graph("entity_entity"), called)
    joined = called.join(facts, left_on=_ENTITY_INDEX, right_on=_HEAD, how="left")
    is_said = (pl.col(KIND) == ENTITY) | pl.col(TEXT).is_not_null()
    text = join_sentences([pl.col(TITLE), pl.col(TEXT)])
    return joined.filter(is_said).sort(_ENTITY_INDEX).select(KIND, "id", DOMAIN, text.alias(TEXT))


def triple_texts(prepared: Prepared) -> pl.DataFrame:
    """Return each triple as a text "head. relation: tail", with the position of its tail in it."""
    schema = {DOMAIN: pl.String, TEXT: pl.String, TAIL_START: pl.Int64}
    if not _has_triples(prepared):
        return pl.DataFrame(schema=schema)
    names = _called(prepared).select(_ENTITY_INDEX, pl.col(TITLE).str.replace_all(r"\s+", " "))
    triples = prepared.graph("entity_entity").sort(_HEAD, RELATION, _TAIL)
    for side in (_HEAD, _TAIL):
        renamed = names.select(pl.col(_ENTITY_INDEX).alias(side), pl.col(TITLE).alias(f"{side}_"))
        triples = triples.join(renamed, on=side, maintain_order="left")
    before = pl.concat_str(pl.col(f"{_HEAD}_"), pl.lit(". "), _relation(), pl.lit(": "))
    start = before.str.len_chars().cast(pl.Int64).alias(TAIL_START)
    return triples.select(
        pl.col(DOMAIN).cast(pl.String), pl.concat_str(before, f"{_TAIL}_").alias(TEXT), start
    )


def _has_triples(prepared: Prepared) -> bool:
    return all((prepared.folder / GRAPH_FOLDER / f"{name}.parquet").is_file() for name in _TRIPLES)


def _called(prepared: Prepared) -> pl.DataFrame:
    """Return index, kind, id and title of each entity, of items the title in the catalog."""
    titles = prepared.items().select(ITEM_INDEX, TITLE)
    entities = prepared.graph("entities")
    is_entity = pl.col(ITEM_INDEX).is_null()
    return entities.join(titles, on=ITEM_INDEX, how="left", maintain_order="left").select(
        _ENTITY_INDEX,
        pl.when(is_entity).then(pl.lit(ENTITY)).otherwise(pl.lit(FACT)).alias(KIND),
        pl.col("name").alias("id"),
        pl.coalesce(TITLE, "name").alias(TITLE),
    )


def _relation() -> pl.Expr:
    return pl.col(RELATION).cast(pl.String).str.replace_all("_", " ")


def _facts(edges: pl.DataFrame, called: pl.DataFrame) -> pl.DataFrame:
    """Return the relations of each head as one text, and its domain if it has only one."""
    names = called.select(pl.col(_ENTITY_INDEX).alias(_TAIL), TITLE)
    tails = (
        edges.join(names, on=_TAIL)
        .group_by(_HEAD, RELATION)
        .agg(pl.col(TITLE).unique().sort().str.join(", "), pl.col(DOMAIN).unique())
        .sort(_HEAD, RELATION)
    )
    relation = pl.concat_str(_relation(), pl.lit(": "), TITLE)
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


def corpus(prepared: Prepared, triples: TripleTexts = "facts") -> pl.DataFrame:
    """Return the distinct texts, the index of their domain, and where the tail of a triple begins.

    The index is 0 for texts of no domain; texts that are no single triple have a null tail.

    Args:
        prepared: The data set.
        triples: How triples are among the texts.

    Raises:
        InputError: If nothing but the domains has a text.
    """
    parts = [knowledge_texts(prepared)]
    if triples == "facts":
        parts.append(entity_texts(prepared).filter(pl.col(KIND) == FACT))
    else:
        parts = [parts[0].filter(pl.col(KIND) != ENTITY)]
    if triples == "tails":
        parts.append(triple_texts(prepared))
    texts = pl.concat(parts, how="diagonal_relaxed").filter(pl.col(TEXT) != "")
    if (texts[KIND] == "domain").fill_null(value=False).all():
        raise InputError(
            f"{prepared.folder}: neither items nor users nor triples have a text to train on; name "
            "columns of text in the data YAML (`items.text`, `users.text`) and prepare again"
        )
    places = {name: index for index, name in enumerate(prepared.domains, start=1)}
    index = pl.col(DOMAIN).replace_strict(places, default=0, return_dtype=pl.Int64)
    tail = pl.col(TAIL_START) if TAIL_START in texts.columns else pl.lit(None, pl.Int64)
    return texts.unique(TEXT, keep="first", maintain_order=True).select(
        TEXT, index.alias(DOMAIN_INDEX), tail.alias(TAIL_START)
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
