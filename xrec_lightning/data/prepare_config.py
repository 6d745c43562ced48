"""What a data YAML may say: files, column mapping, cleaning, split, seed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from xrec_lightning import schema
from xrec_lightning.data.errors import InputError, suggest


@dataclass(frozen=True, kw_only=True)
class InteractionsConfig:
    """The behavior log."""

    path: str | list[str]
    """Files or globs; `${XREC_DATA}` is expanded, relative paths start at the working directory."""
    columns: dict[str, str] = field(default_factory=dict)
    """Our column name: theirs. Columns that are not named are looked up under our own name."""
    order: Literal["time", "file"] = "time"
    """`file`: there is no time, rows are in the order in which they happened."""
    time_unit: Literal["auto", "s", "ms", "us", "ns"] = "auto"
    """Unit of numeric times; `auto` tells it by magnitude."""


@dataclass(frozen=True, kw_only=True)
class ItemsConfig:
    """The catalog."""

    path: str | list[str]
    """Files or globs."""
    columns: dict[str, str] = field(default_factory=dict)
    """Our column name (`item_id`, `domain`): theirs."""
    title: str | None = None
    """Column that people are shown."""
    text: list[str] = field(default_factory=list)
    """Columns that make the text of an item, in this order."""
    tags: list[str] = field(default_factory=list)
    """Columns of tags or categories: lists, or strings split at `tag_separator`."""
    tag_separator: str = ","
    """What separates the tags of one string."""
    brand: str | None = None
    """Column of the brand."""


@dataclass(frozen=True, kw_only=True)
class UsersConfig:
    """The profiles."""

    path: str | list[str]
    """Files or globs."""
    columns: dict[str, str] = field(default_factory=dict)
    """Our column name (`user_id`): theirs."""
    text: list[str] = field(default_factory=list)
    """Columns that make the text of a user, in this order."""
    profile: list[str] = field(default_factory=list)
    """Columns that become profile edges of the graph."""


@dataclass(frozen=True, kw_only=True)
class CleanConfig:
    """Which interactions are dropped; each one is written to the rejected rows."""

    k_core: int = 0
    """Drop users and items with fewer training events, again and again; 0 keeps all."""
    repeats: Literal["drop", "keep"] = "drop"
    """Whether a user's second event with the same item is an event."""


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """How events become training events and targets.

    Events of one user with equal time have no order: "times" below are distinct times of a user.
    """

    method: Literal["leave_one_out", "last_n", "ratio", "global_time"] = "leave_one_out"
    """`leave_one_out`: one event of the last time is the test target, one of the last but one the
    validation target. `last_n`: all events of the last n times, and of the n before. `ratio`: the
    same by share of a user's times. `global_time`: one cut for all users."""
    n: int = 1
    """Times of `last_n`."""
    val_share: float = 0.1
    """Share of `ratio` and `global_time` that validates."""
    test_share: float = 0.1
    """Share of `ratio` and `global_time` that tests."""
    val_from: int | str | None = None
    """First validation time of `global_time`, seconds or ISO date, instead of `val_share`."""
    test_from: int | str | None = None
    """First test time of `global_time`, instead of `test_share`."""
    ties: Literal["shuffle", "file"] = "shuffle"
    """`file` believes the order of the file within equal times: for papers' protocols only."""
    cold_items: float = 0.0
    """Share of the items with text that is hidden from training and every history, then tested."""


@dataclass(frozen=True, kw_only=True)
class GraphConfig:
    """The fusion graph."""

    window: int = 5
    """Items co-occur when a user's training events are at most so many events apart."""


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """One data set, prepared in one way."""

    interactions: InteractionsConfig
    """The behavior log."""
    items: ItemsConfig | None = None
    """The catalog."""
    users: UsersConfig | None = None
    """The profiles."""
    clean: CleanConfig = field(default_factory=CleanConfig)
    """Which interactions are dropped."""
    split: SplitConfig = field(default_factory=SplitConfig)
    """How events become training events and targets."""
    graph: GraphConfig = field(default_factory=GraphConfig)
    """The fusion graph."""
    seed: int = 0
    """Orders ties, picks targets and hidden items."""
    output: str = "data/prepared"
    """Folder of prepared folders."""


COLUMNS: dict[str, tuple[str, ...]] = {
    "interactions": tuple(schema.INTERACTION_DTYPES),
    "items": (schema.ITEM_ID, schema.DOMAIN),
    "users": (schema.USER_ID,),
}
"""Our columns that each table's `columns` may name."""


def load_config(path: Path) -> PrepareConfig:
    """Return the config of the data YAML at ``path``.

    Raises:
        InputError: If a key is unknown, a value does not fit, or the file is no YAML mapping.
        FileNotFoundError: If there is no such file.
    """
    try:
        mapping = _dates_to_text(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(mapping, dict):
        raise InputError(f"{path}: a data YAML is a mapping with the key `interactions`")
    _refuse_unknown_keys(mapping, PrepareConfig, path, "")
    for table, columns in COLUMNS.items():
        _refuse_unknown_columns(mapping.get(table), columns, path, f"{table}.columns.")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--data", type=PrepareConfig, required=True)
    try:
        config = parser.instantiate(parser.parse_object({"data": mapping})).data
    except ArgumentError as error:
        raise InputError(f"{path}: {_innermost(str(error))}") from error
    _refuse_bad_values(config, path)
    return config


def _refuse_unknown_keys(mapping: Mapping[str, Any], config: type, path: Path, prefix: str) -> None:
    hints = get_type_hints(config)
    names = [each.name for each in fields(config)]
    for key, value in mapping.items():
        if key not in names:
            raise InputError(f"{path}: unknown key `{prefix}{key}`; {suggest(str(key), names)}")
        nested = [each for each in (hints[key], *get_args(hints[key])) if is_dataclass(each)]
        if nested and isinstance(value, dict) and isinstance(nested[0], type):
            _refuse_unknown_keys(value, nested[0], path, f"{prefix}{key}.")


def _refuse_unknown_columns(table: Any, valid: tuple[str, ...], path: Path, prefix: str) -> None:
    columns = table.get("columns") if isinstance(table, dict) else None
    for key in columns if isinstance(columns, dict) else ():
        if key not in valid:
            raise InputError(f"{path}: unknown column `{prefix}{key}`; {suggest(str(key), valid)}")


def _innermost(message: str) -> str:
    """Return the key and the reason of a parser's ``message``, which nests them in many lines."""
    keys = re.findall(r'Parser key "([^"]+)"', message)
    reason = " ".join(message.rpartition('":')[2].split())
    reason = reason.partition(" - Expected a <class 'NoneType'>")[0].replace("data.", "", 1)
    return ": ".join([".".join(keys).removeprefix("data."), reason]) if keys else reason


def _dates_to_text(value: Any) -> Any:
    """Return a YAML value with its dates, which YAML reads from bare ISO strings, as strings."""
    if isinstance(value, dict):
        return {key: _dates_to_text(each) for key, each in value.items()}
    return value.isoformat() if isinstance(value, date) else value


def _refuse_bad_values(config: PrepareConfig, path: Path) -> None:
    split = config.split
    shares = split.val_share + split.test_share
    checks = {
        f"split.cold_items: {split.cold_items} is not in [0, 1)": 0 <= split.cold_items < 1,
        f"split.n: {split.n} is not positive": split.n > 0,
        f"split.val_share + split.test_share: {shares} is not in (0, 1)": 0 < shares < 1,
        f"split.val_share: {split.val_share} is negative": split.val_share >= 0,
        f"split.test_share: {split.test_share} is negative": split.test_share >= 0,
        f"clean.k_core: {config.clean.k_core} is negative": config.clean.k_core >= 0,
        f"graph.window: {config.graph.window} is negative": config.graph.window >= 0,
        f"seed: {config.seed} is negative": config.seed >= 0,
        "split.val_from and split.test_from go together": (split.val_from is None)
        == (split.test_from is None),
        "interactions.path: no file is given": bool(config.interactions.path),
    }
    for message, is_fine in checks.items():
        if not is_fine:
            raise InputError(f"{path}: {message}")
