"""What defines the evaluation of a prepared data set, as a file that can be frozen and shared."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from xrec_lightning import schema
from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.raw.files import find_files

Protocol = dict[str, Any]

HASH = "hash"
SETTINGS: dict[str, tuple[str, ...]] = {
    "interactions": ("columns", "order", "time_unit", "encoding"),
    "items": ("columns",),
    "links": ("columns", "encoding"),
    "anonymize": ("users",),
}
"""Keys of a table that shape interactions or candidates; the others say where and what text is."""
WHOLE_SETTINGS = ("events", "clean", "split", "seed")
COUNTS = (
    "users",
    "items",
    "hidden_items",
    "interactions",
    *schema.SPLITS,
    "val_targets",
    "test_targets",
    "cold_test_targets",
)

_STORE = ("offsets", "item_ids", "domain_ids", "times", "train_ends")
_MAX_SHOWN = 6
_DIGEST_SHOWN = 12


def make_protocol(prepared: Prepared) -> Protocol:
    """Return the protocol of a prepared data set; its ``hash`` is that of all other entries.

    Texts, profiles and knowledge are no part of it: two data sets that differ only in these are
    evaluated alike.
    """
    manifest = prepared.manifest
    protocol = {
        "schema_version": manifest["schema_version"],
        "settings": _settings(manifest["config"]),
        # Only files of the log have rows; what the others change shows in the contents.
        "inputs": sorted(each["sha256"] for each in manifest["inputs"] if each["rows"] is not None),
        "domains": list(prepared.domains),
        "counts": {name: manifest["counts"][name] for name in COUNTS},
        "contents": _contents(prepared),
    }
    return {HASH: _hash(protocol), **protocol}


def read_protocol(path: Path) -> Protocol:
    """Return the protocol in a file.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If the file holds none, or was changed after it was frozen.
    """
    try:
        protocol = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(protocol, dict) or HASH not in protocol:
        raise InputError(f"{path}: no protocol: it has no `{HASH}`; make one with `xrec protocol`")
    entries = {name: value for name, value in protocol.items() if name != HASH}
    if _hash(entries) != protocol[HASH]:
        raise InputError(
            f"{path}: {HASH}: {protocol[HASH]} is not that of its entries: the file was changed "
            "after it was frozen; get the original"
        )
    return protocol


def frozen_protocol(config: PrepareConfig) -> Protocol | None:
    """Return the protocol that a data YAML names, if it names one.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If the file holds none, or was changed after it was frozen.
    """
    return None if config.protocol is None else read_protocol(find_files(config.protocol)[0].path)


def dump_protocol(protocol: Protocol) -> str:
    """Return a protocol as YAML."""
    return yaml.safe_dump(protocol, sort_keys=False, allow_unicode=True)


def verified_hash(prepared: Prepared, config: PrepareConfig) -> str:
    """Return the hash of the protocol of data that were just prepared.

    Raises:
        InputError: If they do not follow the protocol that the config names.
    """
    protocol, frozen = make_protocol(prepared), frozen_protocol(config)
    if frozen is not None:
        _refuse_differences(protocol, frozen, config.protocol)
    return str(protocol[HASH])


def refuse_other_protocol(folder: Path, config: PrepareConfig) -> None:
    """Raise where a prepared folder does not follow the protocol that the config names.

    Raises:
        InputError: It names the entries that differ.
    """
    frozen = frozen_protocol(config)
    if frozen is not None:
        prepared = Prepared.open(folder)
        if prepared.protocol != frozen[HASH]:
            _refuse_differences(make_protocol(prepared), frozen, config.protocol)


def _refuse_differences(protocol: Protocol, frozen: Protocol, path: str | None) -> None:
    found, wanted = _flatten(protocol), _flatten(frozen)
    names = [
        name
        for name in dict.fromkeys([*found, *wanted])
        if name != HASH and found.get(name) != wanted.get(name)
    ]
    if not names:
        return
    shown = [
        f"{name} is {_shorten(found.get(name))}, frozen {_shorten(wanted.get(name))}"
        for name in names[:_MAX_SHOWN]
    ]
    more = f"; and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    raise InputError(
        f"protocol: {path}: the prepared data do not follow it: {'; '.join(shown)}{more}. Give the "
        "data YAML the frozen settings and files, or leave out `protocol`"
    )


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    of_tables = {
        table: {key: config[table][key] for key in keys}
        for table, keys in SETTINGS.items()
        if config[table] is not None
    }
    whole = {name: config[name] for name in WHOLE_SETTINGS}
    return {**_without_whole_floats(of_tables), **_without_whole_floats(whole)}


def _without_whole_floats(value: Any) -> Any:
    """Return ``value`` with whole numbers as integers: 7 and 7.0 are one setting."""
    if isinstance(value, dict):
        return {name: _without_whole_floats(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_whole_floats(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _contents(prepared: Prepared) -> dict[str, str]:
    """Return the hashes of the store, of its ids, of the candidates and of the targets."""
    items = prepared.items().select(schema.ITEM_ID, schema.DOMAINS)
    tables = {
        "users": prepared.users().select(schema.USER_ID),
        "candidates": items,
        **{name: prepared.targets(name) for name in (schema.VAL, schema.TEST)},
    }
    return {
        **{name: _digest([getattr(prepared, name)]) for name in _STORE},
        **{name: _digest(_table_parts(rows)) for name, rows in tables.items()},
    }


def _table_parts(rows: pl.DataFrame) -> Iterator[bytes | np.ndarray]:
    for name in sorted(rows.columns):
        yield name.encode()
        yield from _column_parts(rows[name])


def _column_parts(column: pl.Series) -> Iterator[bytes | np.ndarray]:
    """Yield what a column holds, independent of its width, chunks and place on disk."""
    if isinstance(column.dtype, pl.List):
        yield from _column_parts(column.list.len())
        yield from _column_parts(column.explode().drop_nulls())  # an empty list explodes to null
    elif column.dtype == pl.String:
        yield json.dumps(column.to_list()).encode()
    else:
        yield column.cast(pl.Int64).to_numpy()


def _digest(parts: Iterator[bytes | np.ndarray] | list[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).data)
    return digest.hexdigest()


def _hash(entries: Mapping[str, Any]) -> str:
    canonical = json.dumps(entries, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by dotted key; an empty mapping is a leaf."""
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    leaves: dict[str, Any] = {}
    for name, each in value.items():
        leaves |= _flatten(each, f"{prefix}.{name}" if prefix else str(name))
    return leaves


def _shorten(value: Any) -> str:
    if isinstance(value, str) and len(value) == hashlib.sha256().digest_size * 2:
        return value[:_DIGEST_SHOWN]
    if isinstance(value, list):
        return f"[{', '.join(_shorten(each) for each in value)}]"
    return str(value)
