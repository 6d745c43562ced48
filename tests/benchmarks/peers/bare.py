"""The work of the peers without a library: the lower bound. `python bare.py CSV FOLDER`.

Read, index by sorted id, order by user and time, hold out the last two events, store flat arrays.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl
from measure import measured

HELD_OUT = 2
"""Events of a user that do not train: the validation and the test target."""


def encode(ids: pl.Series) -> tuple[pl.Series, np.ndarray]:
    """Return the sorted distinct ids and the index of each id given."""
    names = ids.unique().sort()
    return names, ids.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int64)


def main(source: Path, folder: Path) -> None:
    """Write the store of ``source`` to ``folder``."""
    dtypes = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64}
    rows = pl.read_csv(source, columns=list(dtypes), schema_overrides=dtypes)
    user_names, users = encode(rows["user_id"])
    item_names, items = encode(rows["item_id"])
    times = rows["timestamp"].to_numpy()
    first = int(times.min())
    item_bits = len(item_names).bit_length()
    time_bits = int(times.max() - first).bit_length()
    # One integer holds user, time and item, so that one sort of plain integers orders all three.
    assert len(user_names).bit_length() + time_bits + item_bits < 64
    keys = users << (time_bits + item_bits) | (times - first) << item_bits | items
    keys.sort()
    user_counts = np.bincount(users, minlength=len(user_names))
    offsets = np.concatenate([[0], np.cumsum(user_counts)])
    arrays = {
        "offsets": offsets,
        "item_ids": (keys & (1 << item_bits) - 1).astype(np.int32) + np.int32(1),
        "times": (keys >> item_bits & (1 << time_bits) - 1) + first,
        "train_ends": np.maximum(offsets[:-1], offsets[1:] - HELD_OUT),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    user_names.to_frame().write_parquet(folder / "users.parquet")
    item_names.to_frame().write_parquet(folder / "items.parquet")


if __name__ == "__main__":
    with measured("polars", "numpy"):
        main(Path(sys.argv[1]), Path(sys.argv[2]))
