"""Prepared folders, compared file by file; and logs with something of everything."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.steps import AnonymizeConfig, CleanConfig, EventsConfig, SplitConfig
from xrec_lightning.data.config.tables import (
    InteractionsConfig,
    ItemsConfig,
    LinksConfig,
    TriplesConfig,
    UsersConfig,
)


def assert_same_folder(left: Path, right: Path, ignored: tuple[str, ...] = ()) -> None:
    """Check that two folders have the same files with the same bytes, rows and facts.

    Args:
        left: A prepared folder.
        right: Another one.
        ignored: Columns of rejected rows and keys of the manifest that may differ.
    """
    names = {path.relative_to(left) for path in left.rglob("*") if path.is_file()}
    assert names == {path.relative_to(right) for path in right.rglob("*") if path.is_file()}
    assert any(name.suffix == ".npy" for name in names)
    for name in sorted(names):
        one, other = left / name, right / name
        if name.suffix == ".parquet":
            frames = [pl.read_parquet(path) for path in (one, other)]
            if name.name == "rejected.parquet" and ignored:
                frames = [rows.drop(ignored, strict=False) for rows in frames]
                frames = [rows.sort(pl.all()) for rows in frames]
            assert frames[0].schema == frames[1].schema, name
            assert frames[0].equals(frames[1]), name
        elif name.name == "manifest.json":
            assert facts(one, ignored) == facts(other, ignored)
        else:
            assert one.read_bytes() == other.read_bytes(), name


def facts(path: Path, ignored: tuple[str, ...]) -> dict[str, Any]:
    manifest = json.loads(path.read_text())
    del manifest["config"]["output"]
    return {key: value for key, value in manifest.items() if key not in ignored}


@pytest.fixture(scope="session")
def same_folder() -> Callable[..., None]:
    """Return the function that compares two prepared folders."""
    return assert_same_folder


def rich_log(num_rows: int = 240, seed: int = 0) -> pl.DataFrame:
    """Return a log of 20 users with ties, repeats, dislikes, weights and rows that cannot be read.

    User `u1` is `U1` in domain b, item `i1` is `j1` there.
    """
    generator = np.random.default_rng(seed)
    users = generator.integers(0, 20, num_rows)
    items = generator.integers(0, 16, num_rows)
    is_b = items >= 9
    rows = {
        "user_id": [
            f"{'U' if of_b and user < 5 else 'u'}{user}"
            for user, of_b in zip(users, is_b, strict=True)
        ],
        "item_id": [
            f"{'j' if of_b and item == 10 else 'i'}{item}"
            for item, of_b in zip(items, is_b, strict=True)
        ],
        "domain": np.where(is_b, "b", "a"),
        "timestamp": (generator.integers(0, 40, num_rows) * 43_200).astype(str),
        "event": generator.choice(["buy", "view", "no"], num_rows, p=[0.4, 0.5, 0.1]),
        "rating": generator.choice([1.0, 3.5, 5.0], num_rows),
        "weight": generator.choice([0.5, 1.0, 2.0], num_rows),
    }
    log = pl.DataFrame(rows)
    bad = log.head(4).with_columns(
        pl.Series("user_id", [None, "u1", "u2", "u3"]),
        pl.Series("item_id", ["i1", None, "i2", "i3"]),
        pl.Series("timestamp", ["1", "2", "soon", "3"]),
    )
    return pl.concat([log, bad, log.tail(3)])


@pytest.fixture
def make_rich(tmp_path: Path) -> Callable[..., PrepareConfig]:
    """Return a function that writes `rich_log` and tables of all kinds and gives their config."""

    def make(num_files: int = 3, **changes: object) -> PrepareConfig:
        log = rich_log()
        size = -(-len(log) // num_files)
        for number in range(num_files):
            log[number * size : (number + 1) * size].write_csv(tmp_path / f"log{number}.csv")
        (tmp_path / "items.csv").write_text(
            "item_id,title,tags\n"
            + "".join(f"i{item},Item {item},t{item % 3}\n" for item in range(14))
        )
        (tmp_path / "users.csv").write_text(
            "user_id,city,mail\n"
            + "".join(f"u{user},C{user % 3},u{user}@x.org\n" for user in range(8))
        )
        (tmp_path / "links.csv").write_text(
            "left_id,right_id,kind\n"
            + "".join(f"u{user},U{user},user\n" for user in range(5))
            + "i10,j10,item\nu19,,user\nnobody,nowhere,user\n"
        )
        (tmp_path / "triples.csv").write_text(
            "head,relation,tail\ni1,made_by,Acme\ni2,made_by,Acme\ni1,goes_with,i2\ni3,made_by,\n"
        )
        path = str(tmp_path)
        config = PrepareConfig(
            interactions=InteractionsConfig(
                path=[f"{path}/log{number}.csv" for number in range(num_files)]
            ),
            items=ItemsConfig(
                path=f"{path}/items.csv", title="title", text=["title"], tags=["tags"]
            ),
            users=UsersConfig(path=f"{path}/users.csv", text=["city"], profile=["city"]),
            links=LinksConfig(path=f"{path}/links.csv"),
            knowledge=TriplesConfig(path=f"{path}/triples.csv", in_text=["made_by"]),
            events=EventsConfig(weights={"buy": 2}, dislikes=["no"], dislike_below=2),
            clean=CleanConfig(k_core=2),
            split=SplitConfig(),
            anonymize=AnonymizeConfig(),
            output=f"{path}/prepared",
        )
        return replace(config, **changes)

    return make
