"""The data YAML: one data set, prepared in one way."""

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from xrec_lightning import schema
from xrec_lightning.data.config.mapping import read_mapping, refuse_bad_keys
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
from xrec_lightning.data.config.values import refuse_bad_values
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
    mapping = read_mapping(path, "interactions")
    refuse_bad_keys(mapping, PrepareConfig, path)
    for table, columns in COLUMNS.items():
        _refuse_unknown_columns(mapping.get(table), columns, path, f"{table}.columns.")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--data", type=PrepareConfig, required=True)
    try:
        config = parser.instantiate(parser.parse_object({"data": mapping})).data
    except ArgumentError as error:
        raise InputError(f"{path}: {_innermost(str(error))}") from error
    refuse_bad_values(asdict(config), path)
    return config


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
