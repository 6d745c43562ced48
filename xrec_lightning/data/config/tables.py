"""The files of a data set and what their columns mean."""

from dataclasses import dataclass, field
from typing import Literal

Encoding = Literal["utf8", "latin1", "cp1252", "gb18030", "shift_jis"]


@dataclass(frozen=True, kw_only=True)
class InteractionsConfig:
    """The behavior log."""

    path: str | list[str]
    """Files, globs or fsspec addresses; `${XREC_DATA}` is expanded, relative paths start at the
    working directory."""
    columns: dict[str, str] = field(default_factory=dict)
    """Our column name: theirs. Columns that are not named are looked up under our own name."""
    order: Literal["time", "file"] = "time"
    """`file`: there is no time, rows are in the order in which they happened."""
    time_unit: Literal["auto", "s", "ms", "us", "ns"] = "auto"
    """Unit of numeric times; `auto` tells it by magnitude."""
    encoding: Encoding = "utf8"
    """Of text files."""


@dataclass(frozen=True, kw_only=True)
class ItemsConfig:
    """The catalog."""

    path: str | list[str]
    """Files, globs or fsspec addresses."""
    columns: dict[str, str] = field(default_factory=dict)
    """Our column name (`item_id`, `domain`): theirs."""
    title: str | None = None
    """Column that people are shown."""
    text: list[str] = field(default_factory=list)
    """Columns that make the text of an item, in this order."""
    template: str | None = None
    """Text of an item instead of `text`: `{title}, made by {brand}`; a `[part in brackets]` is left
    out when one of its columns is empty."""
    max_words: int = 0
    """Longest text, in words; 0 keeps all."""
    tags: list[str] = field(default_factory=list)
    """Columns of tags or categories: lists, or strings split at `tag_separator`."""
    tag_separator: str = ","
    """What separates the tags of one string."""
    path_separator: str | None = None
    """What separates the levels of a category path, as ` > `; every level becomes a tag."""
    brand: str | None = None
    """Column of the brand."""
    vectors: dict[str, str] = field(default_factory=dict)
    """Name of a modality (`image`): a list column of the items, or a `.npy` file with one row a row
    of the item files."""
    encoding: Encoding = "utf8"
    """Of text files."""


@dataclass(frozen=True, kw_only=True)
class UsersConfig:
    """The profiles."""

    path: str | list[str]
    """Files, globs or fsspec addresses."""
    columns: dict[str, str] = field(default_factory=dict)
    """Our column name (`user_id`): theirs."""
    text: list[str] = field(default_factory=list)
    """Columns that make the text of a user, in this order."""
    template: str | None = None
    """Text of a user instead of `text`, as for items."""
    max_words: int = 0
    """Longest text, in words; 0 keeps all."""
    profile: list[str] = field(default_factory=list)
    """Columns that become profile edges of the graph."""
    encoding: Encoding = "utf8"
    """Of text files."""


@dataclass(frozen=True, kw_only=True)
class TriplesConfig:
    """What is known of items, tags and entities: head, relation, tail."""

    path: str | list[str]
    """Files, globs or fsspec addresses; RecBole `.kg` files too."""
    columns: dict[str, str] = field(default_factory=dict)
    """Our column name (`head`, `relation`, `tail`, `domain`, `weight`): theirs."""
    in_text: list[str] = field(default_factory=list)
    """Relations that are added to the text of their head, as `relation: tail, tail`."""
    encoding: Encoding = "utf8"
    """Of text files."""


@dataclass(frozen=True, kw_only=True)
class LinksConfig:
    """Which ids of two domains mean the same user or item; linked ids become one."""

    path: str | list[str]
    """Files, globs or fsspec addresses."""
    columns: dict[str, str] = field(default_factory=dict)
    """Our column name (`left_id`, `right_id`, `kind`): theirs. `kind` is `user` or `item`; where no
    file has it, all links are of users."""
    encoding: Encoding = "utf8"
    """Of text files."""
