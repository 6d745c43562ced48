"""Texts of items and of users' histories with their classes."""

import logging
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from xrec_lightning.data.errors import InputError, suggest
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.corpus import text_split
from xrec_lightning.data.text.prompts import NewestTitles
from xrec_lightning.data.text.templates import ItemLines, LineConfig
from xrec_lightning.data.text.verbalize import split_tags
from xrec_lightning.schema import (
    DOMAIN,
    DOMAIN_INDEX,
    DOMAINS,
    IS_HIDDEN,
    ITEM_ID,
    ITEM_INDEX,
    SPLIT,
    TEXT,
    TRAIN,
    TRAIN_COUNT,
    USER_ID,
    USER_INDEX,
)

Ints = NDArray[np.integer]

LABEL = "label"
_NO_CLASS = {
    *(ITEM_INDEX, ITEM_ID, USER_INDEX, USER_ID, DOMAINS),
    *(TEXT, TRAIN_COUNT, IS_HIDDEN),
}
"""Columns of prepared tables that nothing can be classified by."""

logger = logging.getLogger(__name__)


class LabeledTexts(NamedTuple):
    """Texts with classes: columns text, label, user_index, item_index, domain_index and split."""

    rows: pl.DataFrame
    """One row a text; ``label`` is an index of `classes`."""
    classes: tuple[str, ...]
    """Names of the classes, sorted."""


def item_texts(
    prepared: Prepared, lines: LineConfig, label: str, held_out: float, where: str
) -> pl.DataFrame:
    """Return the distinct texts of items with the names of their classes.

    Equal texts are of one split.

    Args:
        prepared: A prepared data set.
        lines: What is said of an item.
        label: A column of the items, the first of the tags of a column of tags, or `domain`.
        held_out: Share of the texts of validation, and of test.
        where: Key of the datamodule, for messages.

    Raises:
        InputError: If there is no such column, or the text says it.
    """
    if label in lines.fields:
        raise InputError(f"{where}.lines.fields: {label}: the text would say its own label")
    items = prepared.items()
    _refuse_unknown(label, items.columns, where)
    domain = pl.col(DOMAINS).list.first()
    rows = items.select(
        pl.Series(TEXT, ItemLines(prepared, lines, f"{where}.lines").texts[1:], pl.String),
        (domain if label == DOMAIN else _class_of(prepared, label)).alias(LABEL),
        pl.lit(0, pl.Int64).alias(USER_INDEX),
        pl.col(ITEM_INDEX).cast(pl.Int64),
        _index_of_domain(domain, prepared),
    )
    rows = rows.filter(pl.col(TEXT) != "").unique([TEXT, LABEL], keep="first", maintain_order=True)
    splits = [text_split(text, 2 * held_out) for text in rows[TEXT]]
    return rows.with_columns(pl.Series(SPLIT, splits, pl.String))


def history_texts(
    prepared: Prepared,
    lines: ItemLines,
    label: str,
    count: int,
    is_user: Mapping[str, NDArray[np.bool_]],
) -> pl.DataFrame:
    """Return the training history of each user as a text, with the names of their classes.

    Args:
        prepared: A prepared data set.
        lines: What is said of each item.
        label: A column of the users, or `domain`, that of most events of the history.
        count: Newest items of a history that are said.
        is_user: Which users are of each split, shape ``(U + 1,)`` each.

    Raises:
        InputError: If there is no such column.
    """
    table = prepared.users()
    _refuse_unknown(label, table.columns, "data.init_args")
    choice = NewestTitles(lines.texts)
    item_ids, domain_ids = np.asarray(prepared.item_ids), np.asarray(prepared.domain_ids)
    texts, domains = [], []
    for start, end in zip(prepared.offsets[:-1], prepared.train_ends, strict=True):
        history = item_ids[start:end]
        said = history[choice.choose(history, 0, count)]
        texts.append("; ".join(lines.texts[item] for item in said))
        domains.append(int(np.bincount(domain_ids[start:end], minlength=1).argmax()))
    split_of = {
        user: split
        for split, members in is_user.items()
        for user in np.flatnonzero(members).tolist()
    }
    names = ["", *prepared.domains]
    values = table.select(pl.col(label).cast(pl.String)).to_series() if label != DOMAIN else None
    rows = pl.DataFrame(
        {
            TEXT: texts,
            LABEL: [names[at] for at in domains] if values is None else values,
            USER_INDEX: table[USER_INDEX].cast(pl.Int64),
            ITEM_INDEX: np.zeros(len(table), dtype=np.int64),
            DOMAIN_INDEX: np.array(domains, dtype=np.int64),
            SPLIT: [split_of[user] for user in table[USER_INDEX]],
        }
    )
    return rows.filter(pl.col(TEXT) != "")


def keep_frequent_classes(rows: pl.DataFrame, min_count: int, label: str) -> LabeledTexts:
    """Return the texts of classes with so many training texts; what is left out is logged.

    Args:
        rows: Texts with the names of their classes, null or blank where there is none.
        min_count: Fewest training texts of a class.
        label: What the classes are of, for messages.

    Raises:
        InputError: If fewer than two classes are left.
    """
    rows = rows.with_columns(pl.col(LABEL).str.strip_chars())
    rows = rows.filter(pl.col(LABEL).is_not_null() & (pl.col(LABEL) != ""))
    in_training = (pl.col(SPLIT) == TRAIN).sum().over(LABEL)
    kept = rows.filter(in_training >= max(min_count, 1))
    classes = kept[LABEL].unique().sort().to_list()
    num_classes = rows[LABEL].n_unique()
    if len(classes) < 2:
        raise InputError(
            f"data.init_args.min_count: {min_count}: {len(classes)} of the {num_classes} classes "
            f"of `{label}` have so many training texts, and two are the least; lower it or take "
            "another label"
        )
    if len(classes) < num_classes:
        logger.info(
            "%s: %d of %d classes have fewer than %d training texts: left out, with %d texts",
            *(label, num_classes - len(classes), num_classes, min_count, len(rows) - len(kept)),
        )
    places = {name: place for place, name in enumerate(classes)}
    labels = pl.col(LABEL).replace_strict(places, return_dtype=pl.Int64)
    return LabeledTexts(kept.with_columns(labels), tuple(classes))


def _class_of(prepared: Prepared, label: str) -> pl.Expr:
    """Return the class of each item, the first of several."""
    config = prepared.manifest["config"]["items"]
    dtype = prepared.items().schema[label]
    if isinstance(dtype, pl.List | pl.Array) or label in config["tags"]:
        tags = split_tags(label, dtype, config["tag_separator"], config["path_separator"])
        return tags.list.first()
    return pl.col(label).cast(pl.String)


def _index_of_domain(name: pl.Expr, prepared: Prepared) -> pl.Expr:
    places = {domain: index for index, domain in enumerate(prepared.domains, start=1)}
    return name.replace_strict(places, return_dtype=pl.Int64).alias(DOMAIN_INDEX)


def _refuse_unknown(label: str, columns: list[str], where: str) -> None:
    valid = [DOMAIN, *(name for name in columns if name not in _NO_CLASS)]
    if label not in valid:
        raise InputError(f"{where}.label: the data have no `{label}`; {suggest(label, valid)}")
