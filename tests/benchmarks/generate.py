"""Seeded interactions of any number, made in chunks: what the benchmarks of `prepare` read.

`python generate.py FILE [--interactions N]` writes a CSV file, a RecBole atomic file (`.inter`),
or, where FILE has no suffix, a folder of parquet files.
"""

import argparse
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

DOMAINS = ("books", "films", "games")

_CHUNK = 1_000_000
_START = 1_500_000_000
_SECONDS_AN_EVENT = 30
_ATOMIC_TYPES = {
    "user_id": "token",
    "item_id": "token",
    "domain": "token",
    "timestamp": "float",
}


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is made. Users and items are drawn, so that the rarest may not occur."""

    num_interactions: int = 2_000_000
    num_users: int = 50_000
    num_items: int = 20_000
    seed: int = 0


def generate(sizes: Sizes) -> Iterator[pl.DataFrame]:
    """Yield the interactions in the order of their times, at most a million at once.

    Users come by lognormal weights, so that history lengths are about lognormal; items by a shifted
    Zipf law, whatever their domain; two events share one visit, thus its user and time, on average.
    """
    generator = np.random.default_rng(sizes.seed)
    users = _cumulate(generator.lognormal(size=sizes.num_users))
    items = _cumulate(generator.permutation(1 / (np.arange(sizes.num_items) + 20)))
    domains = generator.choice(len(DOMAINS), sizes.num_items, p=(0.5, 0.3, 0.2))
    for start in range(0, sizes.num_interactions, _CHUNK):
        length = min(_CHUNK, sizes.num_interactions - start)
        num_visits = length // 2 + 1
        visits = np.sort(generator.integers(0, num_visits, length))
        user_ids = np.searchsorted(users, generator.random(num_visits))[visits]
        seconds = np.sort(generator.integers(0, length * _SECONDS_AN_EVENT, num_visits))[visits]
        item_ids = np.searchsorted(items, generator.random(length))
        seconds += _START + start * _SECONDS_AN_EVENT
        yield _to_frame(user_ids, item_ids, domains[item_ids], seconds)


def write(path: Path, sizes: Sizes) -> None:
    """Write the interactions to ``path``: `.csv`, `.inter`, or a folder with one file a chunk."""
    if not path.suffix:
        path.mkdir()
        for number, chunk in enumerate(generate(sizes)):
            chunk.write_parquet(path / f"{number:04}.parquet")
        return
    is_atomic = path.suffix == ".inter"
    with path.open("wb") as file:
        for number, chunk in enumerate(generate(sizes)):
            rows = chunk.rename(_atomic_name) if is_atomic else chunk
            separator = "\t" if is_atomic else ","
            buffer = io.BytesIO()
            rows.write_csv(buffer, include_header=number == 0, separator=separator)
            file.write(buffer.getbuffer())


def _cumulate(weights: np.ndarray) -> np.ndarray:
    """Return the inner edges of ``weights`` in the unit interval, shape ``(len(weights) - 1,)``."""
    edges: np.ndarray = np.cumsum(weights[:-1]) / weights.sum()
    return edges


def _atomic_name(column: str) -> str:
    return f"{column}:{_ATOMIC_TYPES[column]}"


def _to_frame(
    user_ids: np.ndarray, item_ids: np.ndarray, domains: np.ndarray, seconds: np.ndarray
) -> pl.DataFrame:
    numbers = pl.DataFrame({"user": user_ids, "item": item_ids, "seconds": seconds})
    return numbers.select(
        pl.format("u{}", "user").alias("user_id"),
        pl.format("i{}", "item").alias("item_id"),
        pl.Series("domain", DOMAINS).gather(domains),
        pl.col("seconds").alias("timestamp"),
    )


def main() -> None:
    """Write one file or folder, with users and items in proportion to its interactions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--interactions", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    size = args.interactions
    sizes = Sizes(
        num_users=size // 40, num_items=size // 100, num_interactions=size, seed=args.seed
    )
    write(args.path, sizes)


if __name__ == "__main__":
    main()
