"""The data YAML: one data set, prepared in one way."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from xrec_lightning import schema
from xrec_lightning.data.config.steps import (
    AnonymizeConfig,
    CleanConfig,
    EventsConfig,
    GraphConfig,
    SplitConfig,
)
from xrec_lightning.data.config.tables import (
    InteractionsConfig,
    ItemsConfig,
    LinksConfig,
    TriplesConfig,
    UsersConfig,
)
from xrec_lightning.data.errors import InputError, suggest


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """One data set, prepared in one way."""

    interactions: InteractionsConfig
    """The behavior log."""
    items: ItemsConfig | None = None
    """The catalog."""
    users: UsersConfig | None = None
    """The profiles."""
    knowledge: TriplesConfig | None = None
    """What is known of items, tags and entities."""
    links: LinksConfig | None = None
    """Which ids mean the same user or item."""
    domains: dict[str, str] = field(default_factory=dict)
    """Text of a domain, by its name; the name itself for those not named."""
    events: EventsConfig = field(default_factory=EventsConfig)
    """What the kinds of events mean."""
    anonymize: AnonymizeConfig = field(default_factory=AnonymizeConfig)
    """What hides people."""
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
    protocol: str | None = None
    """Frozen protocol, made by `xrec protocol`, that the prepared data must follow."""


COLUMNS: dict[str, tuple[str, ...]] = {
    "interactions": tuple(schema.INTERACTION_DTYPES),
    "items": (schema.ITEM_ID, schema.DOMAIN),
    "users": (schema.USER_ID,),
    "knowledge": (schema.HEAD, schema.RELATION, schema.TAIL, schema.DOMAIN, schema.WEIGHT),
    "links": (schema.LEFT_ID, schema.RIGHT_ID, schema.KIND),
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
        f"clean.max_history: {config.clean.max_history} is negative": config.clean.max_history >= 0,
        f"clean.max_per_hour: {config.clean.max_per_hour} is negative": (
            config.clean.max_per_hour >= 0
        ),
        f"clean.last_days: {config.clean.last_days} is negative": config.clean.last_days >= 0,
        f"split.fold: {split.fold} is negative": split.fold >= 0,
        f"split.fold_days: {split.fold_days} is not positive": split.fold_days > 0,
        f"split.cold_users: {split.cold_users} is not in [0, 1)": 0 <= split.cold_users < 1,
        f"split.cold_domain_users: {split.cold_domain_users} is not in (0, 1]": (
            0 < split.cold_domain_users <= 1
        ),
        "split.val_from and split.test_from go together": (split.val_from is None)
        == (split.test_from is None),
        "interactions.path: no file is given": bool(config.interactions.path),
    }
    for message, is_fine in checks.items():
        if not is_fine:
            raise InputError(f"{path}: {message}")
