"""The text of an item or of a user, made of its columns."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from xrec_lightning.data.config.tables import ItemsConfig, UsersConfig
from xrec_lightning.data.errors import InputError, suggest

_TOKENS = re.compile(r"\{\{|\}\}|\[\[|\]\]|\{[^{}]*\}|[{}\[\]]|[^{}\[\]]+")
_ESCAPES = {"{{": "{", "}}": "}", "[[": "[", "]]": "]"}


@dataclass(frozen=True, kw_only=True)
class TextStyle:
    """How columns become words."""

    max_words: int = 0
    """Longest text, in words; 0 keeps all."""
    tags: Collection[str] = ()
    """Columns of tags, which are shown one by one where there is a `path_separator`."""
    tag_separator: str = ","
    """What separates the tags of one string."""
    path_separator: str | None = None
    """What separates the levels of a category path."""


@dataclass(frozen=True)
class Part:
    """A piece of a template: literal text and columns in turn."""

    literals: tuple[str, ...]
    """Text around the columns, one more than those."""
    columns: tuple[str, ...]
    """Columns between the literals."""
    is_optional: bool
    """Whether it is left out when one of its columns is empty."""


def verbalize(
    columns: Sequence[str], dtypes: Mapping[str, pl.DataType], style: TextStyle | None = None
) -> pl.Expr:
    """Return the columns as one text, "title. description", null where none says anything.

    Args:
        columns: Columns in the order of the text: strings, numbers, or lists of them.
        dtypes: Types of the columns.
        style: How columns become words.
    """
    style = style or TextStyle()
    return join_sentences([_field(name, dtypes[name], style) for name in columns], style.max_words)


def join_sentences(sentences: Sequence[pl.Expr], max_words: int = 0) -> pl.Expr:
    """Return the sentences that are there as one text, null where there is none.

    Args:
        sentences: Text expressions.
        max_words: Longest text, in words; 0 keeps all.
    """
    if not sentences:
        return pl.lit(None, pl.String)
    joined = pl.concat_str(list(sentences), separator=". ", ignore_nulls=True)
    # A field that ends its own sentence gets no second stop.
    return _finish(joined.str.replace_all(r"([.!?])\. ", "${1} "), max_words)


def fill_template(
    parts: Sequence[Part],
    dtypes: Mapping[str, pl.DataType],
    style: TextStyle | None = None,
    rename: Callable[[str], str] = str,
) -> pl.Expr:
    """Return a template with its columns filled in, null where all its columns are empty.

    Args:
        parts: Result of `parse_template`.
        dtypes: Types of the columns.
        style: How columns become words.
        rename: The name of the frame's column for a column that the template names.
    """
    style = style or TextStyle()
    fields = {
        name: _field(rename(name), dtypes[rename(name)], style) for name in template_columns(parts)
    }
    pieces = [_part(part, fields) for part in parts]
    has_any = pl.any_horizontal(field.is_not_null() for field in fields.values())
    return pl.when(has_any).then(_finish(pl.concat_str(pieces), style.max_words))


def parse_template(template: str, where: str) -> tuple[Part, ...]:
    """Return the parts of a template such as ``{title}, made by {brand}. [In {categories}.]``.

    ``{{``, ``}}``, ``[[`` and ``]]`` stand for the single characters.

    Args:
        template: The template.
        where: File and key of it, for messages.

    Raises:
        InputError: If brackets do not match or no column is named.
    """
    parts: list[Part] = []
    literals, columns, is_optional = [""], list[str](), False
    for token in _TOKENS.findall(template):
        if token in ("{", "}", "]" if not is_optional else "["):
            raise InputError(
                f"{where}: `{token}` in {template!r} has no partner; write `{token * 2}` for the "
                "character itself"
            )
        if token in ("[", "]"):
            parts.append(Part(tuple(literals), tuple(columns), is_optional))
            literals, columns, is_optional = [""], [], token == "["
        elif token.startswith("{") and token != "{{":
            columns.append(token[1:-1].strip())
            literals.append("")
        else:
            literals[-1] += _ESCAPES.get(token, token)
    if is_optional:
        raise InputError(f"{where}: a `[` in {template!r} is never closed by a `]`")
    parts.append(Part(tuple(literals), tuple(columns), is_optional))
    if not template_columns(parts):
        raise InputError(f"{where}: {template!r} names no column; write one as `{{title}}`")
    return tuple(part for part in parts if part.columns or part.literals[0])


def template_columns(parts: Sequence[Part]) -> list[str]:
    """Return the columns that a template names, each once, in order."""
    return list(dict.fromkeys(name for part in parts for name in part.columns))


def columns_of_text(config: ItemsConfig | UsersConfig) -> list[str]:
    """Return the columns, as the files name them, that make the text of an item or a user.

    Raises:
        InputError: If the template is broken.
    """
    if config.template is None:
        return config.text
    table = "items" if isinstance(config, ItemsConfig) else "users"
    return template_columns(parse_template(config.template, f"{table}.template"))


def split_tags(
    name: str, dtype: pl.DataType, separator: str, path_separator: str | None = None
) -> pl.Expr:
    """Return the tags of a column as lists, each once in the order of the column, null if none.

    Args:
        name: Column of lists, or of strings that are split at ``separator``.
        dtype: Its type.
        separator: What separates the tags of a string.
        path_separator: What separates the levels of a category path; each level is a tag.
    """
    column = pl.col(name)
    if isinstance(dtype, pl.List | pl.Array):
        column = column.cast(pl.List(pl.String))
    else:
        column = column.cast(pl.String).str.split(separator)
    tag = pl.element()
    if path_separator is not None:
        column = column.list.join(path_separator, ignore_nulls=True).str.split(path_separator)
    tags = column.list.eval(tag.str.replace_all(r"\s+", " ").str.strip_chars())
    tags = tags.list.eval(tag.filter(tag != "")).list.unique(maintain_order=True)
    return pl.when(tags.list.len() > 0).then(tags)


def domain_labels(domains: Sequence[str], labels: Mapping[str, str], where: str) -> dict[str, str]:
    """Return the text of each domain: its label, or its name in words.

    Args:
        domains: Names of the domains.
        labels: Texts of some of them.
        where: File and key of the labels, for messages.

    Raises:
        InputError: If a label is of no domain.

    Example:
        >>> domain_labels(["tea_pots", "tea"], {"tea": "teas of the world"}, "domains")
        {'tea_pots': 'tea pots', 'tea': 'teas of the world'}
    """
    for name in labels:
        if name not in domains:
            raise InputError(f"{where}: no domain is called `{name}`; {suggest(name, domains)}")
    return {name: labels.get(name, name.replace("_", " ").strip()) for name in domains}


def _part(part: Part, fields: Mapping[str, pl.Expr]) -> pl.Expr:
    pieces = [pl.lit(part.literals[0])]
    for name, literal in zip(part.columns, part.literals[1:], strict=True):
        field = fields[name] if part.is_optional else fields[name].fill_null("")
        pieces += [field, pl.lit(literal)]
    # One null makes an optional part null.
    return pl.concat_str(pieces).fill_null("")


def _field(name: str, dtype: pl.DataType, style: TextStyle) -> pl.Expr:
    column = pl.col(name)
    if style.path_separator is not None and name in style.tags:
        column = split_tags(name, dtype, style.tag_separator, style.path_separator)
        column = column.list.join(", ")
    elif isinstance(dtype, pl.List | pl.Array):
        column = column.cast(pl.List(pl.String)).list.join(", ", ignore_nulls=True)
    text = column.cast(pl.String, strict=False).str.replace_all(r"\s+", " ").str.strip_chars()
    return pl.when(text != "").then(text)


def _finish(text: pl.Expr, max_words: int) -> pl.Expr:
    text = text.str.replace_all(r"\s+", " ").str.strip_chars()
    if max_words > 0:
        text = text.str.split(" ").list.head(max_words).list.join(" ")
    return pl.when(text != "").then(text)
