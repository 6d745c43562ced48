"""Keyed hashes instead of user ids, and profiles without some of their columns."""

import hashlib
import hmac
import os
from collections.abc import Sequence

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.errors import InputError, suggest
from xrec_lightning.data.raw.readers import raw_name

HASHED = "hashed"
MIN_KEY_BYTES = 16
_DIGEST_BYTES = 16
_ID = "id"


def read_key(env_name: str) -> bytes:
    """Return the key that an environment variable holds; it is stored and logged nowhere.

    Raises:
        InputError: If the variable is not set or holds too short a key.
    """
    key = os.fsencode(os.environ.get(env_name, ""))
    if len(key) < MIN_KEY_BYTES:
        state = f"holds {len(key)} bytes" if key else "is not set"
        raise InputError(
            f"anonymize.key_env: the environment variable {env_name} {state}, and a key has at "
            f'least {MIN_KEY_BYTES} bytes; make one with `export {env_name}="$(openssl rand -hex '
            '32)"` and keep it: only with the same key do ids get the same hashes'
        )
    return key


def hash_table(ids: pl.Series, key: bytes) -> pl.DataFrame:
    """Return the distinct ids, sorted, with their hashes: columns `id` and `hashed`.

    The hash is the first half of the HMAC-SHA-256 of the UTF-8 id, in hex: 128 bits, so that a
    billion users still collide with a chance below 1e-20.
    """
    distinct = ids.drop_nulls().unique().sort().cast(pl.String)
    hashes = [
        hmac.digest(key, value.encode(), hashlib.sha256)[:_DIGEST_BYTES].hex() for value in distinct
    ]
    columns = {_ID: distinct, HASHED: hashes}
    return pl.DataFrame(columns, schema={_ID: pl.String, HASHED: pl.String})


def drop_columns(
    profiles: pl.LazyFrame, names: Sequence[str], used: Sequence[str] = ()
) -> pl.LazyFrame:
    """Return the profiles without the columns of those names.

    Args:
        profiles: The user table under our names.
        names: Columns as the file names them.
        used: Columns that the config needs: of `users.text`, `users.template`, `users.profile`.

    Raises:
        InputError: If there is no such column, or it is used.
    """
    columns = profiles.collect_schema().names()
    valid = [name for name in columns if name != schema.USER_ID]
    for name in names:
        if raw_name(name) not in valid:
            raise InputError(
                f"anonymize.drop: the profiles have no column `{name}`; {suggest(name, valid)}"
            )
        if name in used:
            raise InputError(
                f"anonymize.drop: `{name}` is used by `users.text`, `users.template` or "
                "`users.profile`; remove it there too, or keep it"
            )
    return profiles.drop([raw_name(name) for name in names])
