"""A YAML file -> a mapping whose keys are those of a config."""

from collections.abc import Hashable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import yaml
from typing_extensions import override

from xrec_lightning.data.errors import InputError, suggest

_MERGE = "tag:yaml.org,2002:merge"


def read_mapping(path: Path, required: str) -> dict[Any, Any]:
    """Return what a YAML file holds; dates, which YAML reads from bare ISO strings, as strings.

    Args:
        path: The file.
        required: A key that it must have, for messages.

    Raises:
        InputError: If it is no YAML mapping, or a key is there twice.
        FileNotFoundError: If there is no such file.
    """
    try:
        # A safe loader too; for that of YAML itself the last of two equal keys wins.
        mapping = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error
    except UnicodeDecodeError as error:
        bad = error.object[error.start : error.start + 1].hex()
        raise InputError(
            f"{path}: the byte 0x{bad} is not UTF-8; save the file in UTF-8"
        ) from error
    if not isinstance(mapping, dict):
        raise InputError(f"{path}: a data YAML is a mapping with the key `{required}`")
    return _dates_to_text(mapping)


def refuse_bad_keys(mapping: Mapping[Any, Any], config: type, path: Path, prefix: str = "") -> None:
    """Raise where the keys of a mapping are not those of a config, at any level.

    Args:
        mapping: What the file holds at this level.
        config: The dataclass that it becomes.
        path: The file.
        prefix: Keys of the levels above, with a dot.

    Raises:
        InputError: If a key is unknown, missing or no text, holds nothing, or holds no mapping
            where the config has keys of its own.
    """
    hints = get_type_hints(config)
    known = {each.name: each for each in fields(config)}
    for key, value in mapping.items():
        if key not in known:
            raise InputError(f"{path}: unknown key `{prefix}{key}`; {suggest(str(key), known)}")
        kinds = [hints[key], *get_args(hints[key])]
        if value is None:
            _refuse_nothing(kinds, f"{path}: {prefix}{key}")
            continue
        nested = next(
            (each for each in kinds if isinstance(each, type) and is_dataclass(each)), None
        )
        if nested is None:
            _refuse_other_keys(value, f"{path}: {prefix}{key}")
            continue
        if not isinstance(value, dict):
            first = fields(nested)[0].name
            raise InputError(
                f"{path}: {prefix}{key}: {value!r} is no mapping; write its keys below it, as "
                f"`{first}: …`"
            )
        refuse_bad_keys(value, nested, path, f"{prefix}{key}.")
    for name, each in known.items():
        if name not in mapping and _is_required(each):
            raise InputError(f"{path}: the key `{prefix}{name}` is missing; add it")


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice."""

    @override
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None,
                        None,
                        f"the key `{key.value}` is there twice; keep one",
                        key.start_mark,
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _refuse_nothing(kinds: list[Any], where: str) -> None:
    if NoneType not in kinds:
        raise InputError(f"{where}: holds nothing (null); give it a value, or remove the key")


def _refuse_other_keys(value: Any, where: str) -> None:
    """Raise where a mapping of names has numbers instead: YAML reads bare digits as those."""
    for key in value if isinstance(value, dict) else ():
        if not isinstance(key, str):
            raise InputError(f"{where}: the key {key!r} is no text; write it in quotes, as '{key}'")


def _is_required(each: "Field[Any]") -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _dates_to_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _dates_to_text(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_dates_to_text(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value
