"""A hash that decides what chance would: the same on every machine, in any order, in any shard."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

_GAMMA = 0x9E3779B97F4A7C15
_FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_SHIFTS = (30, 27, 31)
_CHUNK = 1 << 14
"""Rows that are hashed at a time: their arrays stay in the cache."""
_MAX = 0xFFFFFFFFFFFFFFFF


class Stream(IntEnum):
    """What a hash decides; decisions of different streams have nothing to do with each other."""

    TIES = 0
    COLD_ITEMS = 1
    COLD_USERS = 2
    COLD_DOMAIN = 3
    DAMAGED_EVENTS = 4
    REPLACEMENTS = 5
    DAMAGED_TEXTS = 6


def stable_hash(seed: int, stream: Stream, *keys: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Return one hash a row of ``keys``, none of them negative.

    Each key is mixed in by a step of SplitMix64 (Steele, Lea and Flood, 2014), which maps 64 bits
    onto 64 bits one to one: rows that differ in one key only never share a hash.

    Args:
        seed: Not negative.
        stream: What the hash decides.
        keys: Arrays of one shape.
    """
    start = _mix(np.array([seed & _MAX], dtype=np.uint64))
    start = _mix(start ^ np.uint64(stream))
    hashes = np.empty(np.shape(keys[0]), dtype=np.uint64)
    for first in range(0, len(hashes), _CHUNK):
        rows = slice(first, first + _CHUNK)
        state = start
        for key in keys:
            state = _mix(key[rows].astype(np.uint64) ^ state)
        hashes[rows] = state
    return hashes


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the output of SplitMix64 whose state is each of ``values``."""
    mixed = values + np.uint64(_GAMMA)
    for shift, factor in zip(_SHIFTS, (*_FACTORS, 1), strict=True):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    return mixed
