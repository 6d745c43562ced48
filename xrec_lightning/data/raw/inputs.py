"""The input files of a data set, and the hash that names its prepared folder."""

import hashlib
import hmac
import json
from dataclasses import asdict
from typing import NamedTuple

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.tables import ItemsConfig, UsersConfig
from xrec_lightning.data.folders import file_hash
from xrec_lightning.data.raw.anonymize import read_key
from xrec_lightning.data.raw.files import find_files
from xrec_lightning.data.raw.kinds import SourceFile
from xrec_lightning.data.raw.readers import (
    read_links,
    read_table,
    read_triples,
)
from xrec_lightning.data.text.verbalize import columns_of_text

SCHEMA_VERSION = 3
"""Rises when the meaning of the prepared folder changes; older folders are then not reused."""

_HASH_LENGTH = 16
_TABLES = ("interactions", "items", "users", "knowledge", "links")
_VECTORS = ".npy"


class Inputs(NamedTuple):
    """The files of each table."""

    interactions: list[SourceFile]
    items: list[SourceFile]
    users: list[SourceFile]
    knowledge: list[SourceFile]
    links: list[SourceFile]
    vectors: dict[str, SourceFile]
    """Vector file of each modality that has one."""
    hashes: dict[str, str]
    """SHA-256 of each file, by its name."""
    fingerprint: str
    """Hash of the config, of the files' contents and of the schema version."""


class Tables(NamedTuple):
    """The tables beside the log, as they are read, nothing dropped."""

    catalog: pl.LazyFrame | None
    profiles: pl.LazyFrame | None
    triples: pl.LazyFrame | None
    links: pl.LazyFrame | None


def find_inputs(config: PrepareConfig) -> Inputs:
    """Return the input files of ``config``.

    Raises:
        InputError: If a path has a variable that is not set.
        FileNotFoundError: If a path names no file.
    """
    tables = {name: getattr(config, name) for name in _TABLES}
    found = {name: find_files(each.path) if each else [] for name, each in tables.items()}
    named = config.items.vectors if config.items else {}
    vectors = {name: find_files(path)[0] for name, path in named.items() if path.endswith(_VECTORS)}
    files = [file for each in found.values() for file in each] + list(vectors.values())
    hashes = {file.name: file_hash(file.path) for file in files}
    return Inputs(**found, vectors=vectors, hashes=hashes, fingerprint=_fingerprint(config, hashes))


def read_tables(config: PrepareConfig, inputs: Inputs) -> Tables:
    """Return the tables beside the log, under our column names.

    Raises:
        InputError: If a file cannot be read or lacks a column.
    """
    catalog = profiles = triples = links = None
    if config.items is not None:
        items, used = config.items, _item_columns(config.items)
        catalog = read_table(inputs.items, items.columns, schema.ITEM_ID, used, items.encoding)
    if config.users is not None:
        users, used = config.users, _user_columns(config.users)
        profiles = read_table(inputs.users, users.columns, schema.USER_ID, used, users.encoding)
    if config.knowledge is not None:
        triples = read_triples(inputs.knowledge, config.knowledge)
    if config.links is not None:
        links = read_links(inputs.links, config.links)
    return Tables(catalog, profiles, triples, links)


def _item_columns(config: ItemsConfig) -> list[str]:
    """Return the columns that the item files must have."""
    in_columns = [path for path in config.vectors.values() if not path.endswith(_VECTORS)]
    named = (config.title, *config.text, *config.tags, config.brand, *in_columns)
    used = [name for name in named if name is not None]
    return list(dict.fromkeys([*used, *columns_of_text(config)]))


def _user_columns(config: UsersConfig) -> list[str]:
    """Return the columns that the user files must have."""
    named = [*config.text, *config.profile]
    return list(dict.fromkeys([*named, *columns_of_text(config)]))


def _fingerprint(config: PrepareConfig, hashes: dict[str, str]) -> str:
    settings = asdict(config)
    # Where the result goes and what it must be like do not change it.
    del settings["output"], settings["protocol"]
    content = json.dumps([SCHEMA_VERSION, settings, list(hashes.values())], sort_keys=True)
    if config.anonymize.users:
        # Another key gives other ids; only this digest of all together is kept.
        key = read_key(config.anonymize.key_env)
        return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()[:_HASH_LENGTH]
    return hashlib.sha256(content.encode()).hexdigest()[:_HASH_LENGTH]
