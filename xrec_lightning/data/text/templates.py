"""Prompts as templates of a YAML file: what is said of an item, of a user, and in which words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from xrec_lightning.data.errors import InputError, suggest
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.verbalize import (
    Part,
    TextStyle,
    domain_labels,
    fill_template,
    parse_template,
    template_columns,
)
from xrec_lightning.schema import DOMAINS, IS_HIDDEN, ITEM_INDEX, TEXT, TRAIN_COUNT

HISTORY = "history"
CANDIDATE = "candidate"
DOMAIN_LABEL = "domain"
PROFILE = "user"
PLACEHOLDERS = (HISTORY, CANDIDATE, DOMAIN_LABEL, PROFILE)
_NOT_SAID = {ITEM_INDEX, DOMAINS, TRAIN_COUNT, IS_HIDDEN}
"""Columns of prepared items that the catalog of the data has not."""


@dataclass(frozen=True, kw_only=True)
class LineConfig:
    """What is said of an item."""

    fields: dict[str, int] = field(default_factory=lambda: {"title": 12})
    """Columns of the items and how many words of each are read, 0 for all. Where all are empty the
    text of the item is read."""
    item_template: str | None = None
    """What is made of the fields, such as ``{title}[ by {brand}]``: what stands in brackets is left
    out where its field is empty. By default they are joined by commas."""
    item_tokens: int = 32
    """Longest text of an item, in tokens; the rest is cut off."""


@dataclass(frozen=True, kw_only=True)
class PromptConfig(LineConfig):
    """How a history and a candidate become text."""

    template: str | None = None
    """One text of both, such as ``The user bought: {history}. Would the user buy {candidate}?``.
    There are ``{domain}``, the label of the candidate's domain, and ``{user}``, the text of the
    user, too; what stands in brackets is left out where one of its placeholders is empty. By
    default history and candidate are two texts."""
    history_items: int = 2
    """Items of the history that are said, each text once."""
    choice: Literal["related", "newest"] = "related"
    """Which: those most like the candidate by their words, or the newest. The best one comes last.
    """
    show_ratings: bool = False
    """Whether the rating that the user gave stands behind each item of the history."""
    separator: str = "; "
    """What stands between items of the history."""
    nothing: str = "none"
    """What is said where there is no history with text, no profile."""
    profile_words: int = 32
    """Words of the user's text that are read, 0 for all."""
    max_tokens: int = 64
    """Longest text, in tokens: items of the history that do not fit are left out, never a part of
    the question or of the candidate."""
    history_tokens: int | None = None
    """Longest history, in tokens; by default what the longest text leaves."""


class ItemLines:
    """The text of each item.

    Args:
        prepared: A prepared data set.
        config: What is said of an item.
        where: Key of the config, for messages.

    Raises:
        InputError: If the items have no such column.
    """

    def __init__(self, prepared: Prepared, config: LineConfig, where: str) -> None:
        items = prepared.items()
        valid = sorted(set(items.columns) - _NOT_SAID)
        _refuse_unknown(config.fields, valid, f"{where}.fields", "the items have no column")
        for name, budget in config.fields.items():
            if budget < 0:
                raise InputError(f"{where}.fields: {name}: {budget}: words are 0 (all) or more")
        fields = items.select(_cut(name, items.schema, k) for name, k in config.fields.items())
        lines = fields.select(_line(config, where)).to_series()
        budgets = list(config.fields.values())
        fallback = _cut(TEXT, items.schema, sum(budgets) if all(budgets) else 0)
        texts = items.select(fallback).to_series()
        self.texts = ["", *(line or text or "" for line, text in zip(lines, texts, strict=True))]
        """By item index; empty where nothing is known of an item."""


class PromptWriter:
    """Put examples into the words of a template.

    Args:
        prepared: A prepared data set.
        config: Its template, not None.
        where: Key of the config, for messages.

    Raises:
        InputError: If the template is broken, has an unknown placeholder or none for the candidate.
    """

    def __init__(self, prepared: Prepared, config: PromptConfig, where: str) -> None:
        key = f"{where}.template"
        template = config.template or ""
        self.parts = parse_template(template, key)
        names = template_columns(self.parts)
        _refuse_unknown(names, PLACEHOLDERS, key, "there is no placeholder")
        if CANDIDATE not in names:
            raise InputError(f"{key}: {template!r} never says the candidate; write `{{candidate}}`")
        self.nothing = config.nothing
        given = prepared.manifest["config"].get("domains", {})
        labels = domain_labels(prepared.domains, given, f"{prepared.folder}: domains")
        self.domains = ["", *(labels[name] for name in prepared.domains)]
        self.profiles = _profiles(prepared, config.profile_words) if PROFILE in names else None
        if self.profiles is not None and not any(self.profiles):
            raise InputError(
                f"{key}: {{{PROFILE}}}: no user of {prepared.folder} has a text; name its columns "
                "in `users.text` of the data YAML or leave the placeholder out"
            )

    def write(self, history: str, candidate: str, domain: int, user: int) -> str:
        """Return the prompt of a candidate.

        Args:
            history: Items of the history as one text, empty where there is none.
            candidate: Text of the candidate.
            domain: Domain index of the candidate.
            user: User index.
        """
        values = {HISTORY: history, CANDIDATE: candidate, DOMAIN_LABEL: self.domains[domain]}
        values[PROFILE] = "" if self.profiles is None else self.profiles[user]
        return "".join(_say(part, values, self.nothing) for part in self.parts).strip()


def _say(part: Part, values: Mapping[str, str], nothing: str) -> str:
    said = [values[name] for name in part.columns]
    if part.is_optional and not all(said):
        return ""
    pairs = zip(said, part.literals[1:], strict=True)
    return part.literals[0] + "".join((value or nothing) + literal for value, literal in pairs)


def _line(config: LineConfig, where: str) -> pl.Expr:
    """Return what the fields of an item make together, null or "" where all are empty."""
    if config.item_template is None:
        return pl.concat_str(list(config.fields), separator=", ", ignore_nulls=True)
    key = f"{where}.item_template"
    parts = parse_template(config.item_template, key)
    _refuse_unknown(template_columns(parts), list(config.fields), key, "no field is")
    return fill_template(parts, dict.fromkeys(config.fields, pl.String()))


def _cut(name: str, schema: pl.Schema, words: int) -> pl.Expr:
    """Return the first words of a column, null where it is empty."""
    parts = [Part(("", ""), (name,), is_optional=False)]
    return fill_template(parts, dict(schema), TextStyle(max_words=words)).alias(name)


def _profiles(prepared: Prepared, words: int) -> list[str]:
    """Return the text of each user, by user index; empty where there is none."""
    users = prepared.users()
    return ["", *users.select(_cut(TEXT, users.schema, words).fill_null("")).to_series()]


def _refuse_unknown(
    names: Sequence[str] | Mapping[str, int], valid: Sequence[str], key: str, problem: str
) -> None:
    if not names:
        raise InputError(f"{key}: empty; name at least one of {', '.join(valid)}")
    for name in names:
        if name not in valid:
            raise InputError(f"{key}: {problem} `{name}`; {suggest(name, valid)}")
