"""The knowledge texts of a prepared data set: items, user profiles and domains."""

import hashlib

import polars as pl

from xrec_lightning.data.prepared import Prepared
from xrec_lightning.schema import (
    DOMAIN,
    DOMAIN_INDEX,
    DOMAINS,
    ITEM_ID,
    TEST,
    TEXT,
    TRAIN,
    TRAIN_COUNT,
    USER_ID,
    VAL,
)

KIND = "kind"
KNOWLEDGE_SCHEMA = pl.Schema(dict.fromkeys((KIND, "id", DOMAIN, TEXT), pl.String()))
TAGS_OF_DOMAIN = 12
EXAMPLES_OF_DOMAIN = 8


def knowledge_texts(prepared: Prepared) -> pl.DataFrame:
    """Return rows of kind (item, user, domain), id, domain and text, those without text included.

    The domain of an item is its first one, that of a user is null.
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
    frames = [items.collect(), users.collect(), domain_texts(prepared)]
    return pl.concat([frame.cast(KNOWLEDGE_SCHEMA) for frame in frames])


def domain_texts(prepared: Prepared) -> pl.DataFrame:
    """Return a text for each domain: its name, its frequent tags and its most chosen items."""
    tags = prepared.graph("item_tag")
    items = prepared.items().explode(DOMAINS)
    rows = []
    for name in prepared.domains:
        members = items.filter(pl.col(DOMAINS) == name)
        texts = [_domain_title(name), *_frequent_tags(tags, members), *_chosen_titles(members)]
        rows.append(("domain", name, name, ", ".join(dict.fromkeys(texts))))
    return pl.DataFrame(rows, schema=KNOWLEDGE_SCHEMA, orient="row")


def _domain_title(name: str) -> str:
    return name.replace("_", " ").strip()


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
    """Return the distinct texts with the index of their first domain, 0 for users' profiles."""
    places = {name: index for index, name in enumerate(prepared.domains, start=1)}
    index = pl.col(DOMAIN).replace_strict(places, default=0, return_dtype=pl.Int64)
    texts = knowledge_texts(prepared).filter(pl.col(TEXT) != "")
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
