"""The input files of a data set, and the hash that names its prepared folder."""

import hashlib
import json
from dataclasses import asdict
from typing import NamedTuple

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.folders import file_hash
from xrec_lightning.data.raw.files import find_files
from xrec_lightning.data.raw.kinds import SourceFile
from xrec_lightning.data.raw.readers import read_interactions, read_table

SCHEMA_VERSION = 1
"""Rises when the meaning of the prepared folder changes; older folders are then not reused."""

_HASH_LENGTH = 16


class Inputs(NamedTuple):
    """The files of each table."""

    interactions: list[SourceFile]
    items: list[SourceFile]
    users: list[SourceFile]
    hashes: dict[str, str]
    """SHA-256 of each file, by its name."""
    fingerprint: str
    """Hash of the config, of the files' contents and of the schema version."""


class Tables(NamedTuple):
    """The tables as they are read, nothing dropped."""

    interactions: pl.LazyFrame
    catalog: pl.LazyFrame | None
    profiles: pl.LazyFrame | None


def find_inputs(config: PrepareConfig) -> Inputs:
    """Return the input files of ``config``.

    Raises:
        InputError: If a path has a variable that is not set.
        FileNotFoundError: If a path names no file.
    """
    interactions = find_files(config.interactions.path)
    items = find_files(config.items.path) if config.items else []
    users = find_files(config.users.path) if config.users else []
    hashes = {file.name: file_hash(file.path) for file in (*interactions, *items, *users)}
    settings = asdict(config)
    # Where the result goes does not change it.
    del settings["output"]
    content = json.dumps([SCHEMA_VERSION, settings, list(hashes.values())], sort_keys=True)
    fingerprint = hashlib.sha256(content.encode()).hexdigest()[:_HASH_LENGTH]
    return Inputs(interactions, items, users, hashes, fingerprint)


def read_tables(config: PrepareConfig, inputs: Inputs) -> Tables:
    """Return the tables under our column names.

    Raises:
        InputError: If a file cannot be read or lacks a column.
    """
    interactions = read_interactions(inputs.interactions, config.interactions)
    catalog = profiles = None
    if config.items is not None:
        named = (config.items.title, *config.items.text, *config.items.tags, config.items.brand)
        used = [name for name in named if name is not None]
        catalog = read_table(
            inputs.items, config.items.columns, schema.ITEM_ID, used, config.items.encoding
        )
    if config.users is not None:
        used = [*config.users.text, *config.users.profile]
        profiles = read_table(
            inputs.users, config.users.columns, schema.USER_ID, used, config.users.encoding
        )
    return Tables(interactions, catalog, profiles)


def collect_log(interactions: pl.LazyFrame, inputs: Inputs) -> pl.DataFrame:
    """Return the interactions in memory.

    Raises:
        InputError: If a row breaks the form of its file, such as one with too many fields.
    """
    try:
        return interactions.collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        files = ", ".join(file.name for file in inputs.interactions)
        raise InputError(f"{files}: cannot be read: {error}") from error
