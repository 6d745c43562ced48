"""Column names, dtypes, file names, splits and slices that every part agrees on."""

import polars as pl

USER_ID = "user_id"
ITEM_ID = "item_id"
DOMAIN = "domain"
TIMESTAMP = "timestamp"
EVENT = "event"
RATING = "rating"
WEIGHT = "weight"
SESSION_ID = "session_id"

HEAD = "head"
RELATION = "relation"
TAIL = "tail"
LEFT_ID = "left_id"
RIGHT_ID = "right_id"
KIND = "kind"

USER_INDEX = "user_index"
ITEM_INDEX = "item_index"
DOMAIN_INDEX = "domain_index"
"""Indices start at 1; 0 is padding."""

TITLE = "title"
TEXT = "text"
DOMAINS = "domains"
TRAIN_COUNT = "train_count"
IS_HIDDEN = "is_hidden"
SPLIT = "split"
REASON = "reason"

HISTORY_START = "history_start"
HISTORY_END = "history_end"
SEEN_END = "seen_end"
EXTRA_SEEN = "extra_seen"

TRAIN = "train"
VAL = "val"
TEST = "test"
UNUSED = "unused"
HIDDEN = "hidden"
HISTORY = "history"
SPLITS = (TRAIN, VAL, TEST, UNUSED, HIDDEN, HISTORY)
"""What an event is for: `unused` and `history` (of cold users) are neither trained nor predicted,
`hidden` is tested and in no history."""
SPLIT_DTYPE = pl.Enum(SPLITS)

INTERACTION_DTYPES: dict[str, pl.DataType] = {
    USER_ID: pl.String(),
    ITEM_ID: pl.String(),
    TIMESTAMP: pl.Int64(),
    DOMAIN: pl.String(),
    EVENT: pl.String(),
    RATING: pl.Float32(),
    WEIGHT: pl.Float32(),
    SESSION_ID: pl.String(),
}
"""Interactions after reading; timestamps in whole seconds."""

WARM = "warm"
COLD = "cold"
TAIL = "tail"
MID = "mid"
HEAD = "head"
BUCKETS = (COLD, TAIL, MID, HEAD)
"""Item popularity in training events: 0, 1 to 3, 4 to 15, more than 15 (`buckets`)."""

SLICES = (
    WARM,
    *BUCKETS,
    "history_short",
    "history_medium",
    "history_long",
    "overlap",
    "single_domain",
    "later_day",
    "cold_user",
    "cold_domain",
)
"""Slices of targets that `prepare` marks; history short < 5 <= medium < 20 <= long, in items. The
user of `cold_user` has no training event, the history of `cold_domain` none of the target's domain.
"""

RESERVED_NAMES = frozenset({*SLICES, "user", "all"})
"""No domain may have one of these names: metric keys would collide."""

MANIFEST = "manifest.json"
INTERACTIONS_FILE = "interactions.parquet"
ITEMS_FILE = "items.parquet"
USERS_FILE = "users.parquet"
REJECTED_FILE = "rejected.parquet"
SEQUENCES_FOLDER = "sequences"
TARGETS_FOLDER = "targets"
GRAPH_FOLDER = "graph"
MODALITIES_FOLDER = "modalities"


def slice_column(name: str) -> str:
    """Return the column that marks a slice, in target files and per-user results.

    Example:
        >>> slice_column("cold")
        'slice_cold'
    """
    return f"slice_{name}"
