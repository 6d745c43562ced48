"""Which values the settings of a data YAML may have, beyond their types."""

import math
import re
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

from xrec_lightning.data.errors import InputError


class Range(NamedTuple):
    """Numbers that a setting may have."""

    words: str
    """What they are, after "give"."""
    holds: Callable[[float], bool]


_MOST = 2**31 - 1
_MOST_DAYS = 1_000_000
_COUNT = Range(f"a number from 0 to {_MOST}", lambda value: 0 <= value <= _MOST)
_POSITIVE = Range(f"a number from 1 to {_MOST}", lambda value: 1 <= value <= _MOST)
_SHARE = Range("a share from 0 to below 1", lambda value: 0 <= value < 1)

RANGES = {
    "seed": Range("a number from 0 to 2 ** 63 - 1", lambda value: 0 <= value < 2**63),
    "events.dislike_below": Range("a finite number", math.isfinite),
    "clean.last_days": Range(
        f"days from 0 to {_MOST_DAYS}", lambda value: 0 <= value <= _MOST_DAYS
    ),
    "clean.max_per_hour": _COUNT,
    "clean.max_history": _COUNT,
    "clean.k_core": _COUNT,
    "split.n": _POSITIVE,
    "split.val_share": _SHARE,
    "split.test_share": _SHARE,
    "split.fold": _COUNT,
    "split.fold_days": Range(
        f"days above 0, at most {_MOST_DAYS}", lambda value: 0 < value <= _MOST_DAYS
    ),
    "split.cold_items": _SHARE,
    "split.cold_users": _SHARE,
    "split.cold_domain_users": Range("a share above 0, at most 1", lambda value: 0 < value <= 1),
    "graph.window": _COUNT,
    "items.max_words": _COUNT,
    "users.max_words": _COUNT,
}
"""By key; a setting that is not there may have any number."""

_PATHS = ("interactions", "items", "users", "knowledge", "links")
_SEPARATORS = ("items.tag_separator", "items.path_separator")
_FILE_NAME = re.compile(r"\w[\w.-]*")


def refuse_bad_values(settings: Mapping[str, Any], path: Path) -> None:
    """Raise where a value cannot be, or two do not go together.

    Args:
        settings: The config as nested mappings.
        path: The data YAML, for messages.

    Raises:
        InputError: It names file, key, value and what to give.
    """
    for key, numbers in RANGES.items():
        value = _look_up(settings, key)
        if value is not None and not numbers.holds(value):
            raise InputError(f"{path}: {key}: {value} cannot be; give {numbers.words}")
    for table in _PATHS:
        value = _look_up(settings, f"{table}.path")
        if value is not None and not value:
            raise InputError(
                f"{path}: {table}.path: {value!r} names no file; give files, globs or addresses"
            )
    for key in _SEPARATORS:
        if _look_up(settings, key) == "":
            raise InputError(f"{path}: {key}: '' separates nothing; give what does, as `,`")
    _refuse_modalities(_look_up(settings, "items.vectors") or (), path)
    _refuse_split(settings["split"], path)


def _look_up(settings: Mapping[str, Any], key: str) -> Any:
    """Return the value of a dotted key, None where a table is not there."""
    return reduce(
        lambda level, name: None if level is None else level[name], key.split("."), settings
    )


def _refuse_modalities(names: Mapping[str, str] | tuple[()], path: Path) -> None:
    for name in names:
        if not _FILE_NAME.fullmatch(name):
            raise InputError(
                f"{path}: items.vectors: {name!r} becomes the name of a file; give one of letters, "
                "digits, `_`, `.` and `-`"
            )


def _refuse_split(split: Mapping[str, Any], path: Path) -> None:
    shares = split["val_share"] + split["test_share"]
    if not 0 < shares < 1:
        raise InputError(
            f"{path}: split.val_share + split.test_share: {shares} cannot be; give shares whose "
            "sum is above 0 and below 1"
        )
    given = {key: split[key] for key in ("val_from", "test_from") if split[key] is not None}
    if len(given) == 1:
        ((key, value),) = given.items()
        raise InputError(
            f"{path}: split.{key}: {value}: split.val_from and split.test_from go together; give "
            "both, or none"
        )
