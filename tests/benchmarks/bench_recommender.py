"""SASRec at equal shapes, ours beside plain PyTorch and peers: training, and full ranking.

Each runs in a process of its own, on one thread, in turn; what is compared is the pace after the
first steps or calls, per CPU second. A peer runs where a variable names a Python that has it:
XREC_BENCH_RECTOOLS, XREC_BENCH_REPLAY, XREC_BENCH_RECBOLE.

Shapes: histories of at most 50 items, width 64, two blocks of two heads, batches of 128 histories
(of RecBole, 128 targets), 0.2 dropped. The loss is cross-entropy over the catalog, but for one line
of ours with 512 sampled items. `small` has the size of ML-100K, `large` a catalog of 16,000 items
for the same users. `rank` finds the ten best of 20,000 items for every user, seen ones removed.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from measuring import FOLDER, ONE_THREAD, Contestant, run

from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.prepare import prepare

_PEERS = FOLDER / "peers"
_LIBRARIES = {"RecTools": "rectools", "RePlay": "replay", "RecBole": "recbole"}
_BOUND = "bare bucketed"


class Log(NamedTuple):
    """The size of a log."""

    num_users: int
    num_items: int
    num_interactions: int


CASES = {
    "small": Log(943, 1_682, 100_000),
    "large": Log(943, 16_000, 100_000),
    "rank": Log(4_000, 20_000, 100_000),
}


def make_log(log: Log) -> pl.DataFrame:
    """Return events in order of time: lognormal histories, items by a Zipf law, each at least once.

    Every user has five events or more, so that some are left when two are held out.
    """
    generator = np.random.default_rng(0)
    weights = generator.lognormal(size=log.num_users)
    sure = np.repeat(np.arange(log.num_users), 5)
    drawn = log.num_interactions - len(sure)
    users = np.concatenate([sure, generator.choice(log.num_users, drawn, p=weights / sum(weights))])
    popularity = 1 / (np.arange(log.num_items) + 20)
    drawn = log.num_interactions - log.num_items
    items = generator.choice(log.num_items, drawn, p=popularity / popularity.sum())
    items = generator.permutation(np.concatenate([np.arange(log.num_items), items]))
    return pl.DataFrame(
        {
            "user_id": generator.permutation(users),
            "item_id": items,
            "timestamp": 1_500_000_000 + 60 * np.arange(log.num_interactions),
        }
    ).with_columns(pl.format("u{}", "user_id"), pl.format("i{}", "item_id"))


def make_inputs(folder: Path, log: Log) -> None:
    """Write the log as a CSV file and as an atomic file, and prepare it for ours."""
    frame = make_log(log)
    frame.write_csv(folder / "log.csv")
    atomic = folder / "atomic" / "bench" / "bench.inter"
    atomic.parent.mkdir(parents=True)
    types = {"user_id": "token", "item_id": "token", "timestamp": "float"}
    frame.rename({name: f"{name}:{kind}" for name, kind in types.items()}).write_csv(
        atomic, separator="\t"
    )
    text = f"interactions: {{path: {folder / 'log.csv'}}}\nclean: {{repeats: keep}}\n"
    (folder / "data.yaml").write_text(f"{text}output: {folder / 'prepared'}\n", encoding="utf-8")
    prepare(load_config(folder / "data.yaml"))


def contestants(case: str, folder: Path) -> Iterator[Contestant]:
    """Yield ours, the bare loops and the peers, absent ones too."""
    is_ranking = case == "rank"
    data = {"ours": str(folder / "data.yaml"), "bare": str(folder / "log.csv")}
    kinds = {
        "ours": ["rank"] if is_ranking else ["full", "chunked", "sampled"],
        "bare": ["rank"] if is_ranking else ["plain", "bucketed"],
    }
    for who, own in kinds.items():
        for kind in own:
            name = who if is_ranking else f"{who} {kind}"
            script = str(_PEERS / f"{who}_sasrec.py")
            yield Contestant(name, [sys.executable, script, kind, data[who]])
    for name, library in _LIBRARIES.items():
        python = os.environ.get(f"XREC_BENCH_{library.upper()}")
        source = folder / ("atomic/bench/bench.inter" if library == "recbole" else "log.csv")
        script = str(_PEERS / f"peer_{library}_sasrec.py")
        words = [script, "rank" if is_ranking else "train", str(source), str(folder)]
        yield Contestant(name, [python, *words] if python else None)


def table(case: str, entries: Sequence[Contestant]) -> Iterable[str]:
    """Yield one line a contestant: pace, its ratios to the bound and to the best peer, memory."""
    unit = "users" if case == "rank" else "targets"
    bound = next(each for each in entries if each.name in ("bare", _BOUND)).median("rate")
    peers = [each.median("rate") for each in entries if each.name in _LIBRARIES and each.runs]
    best = max(peers, default=float("nan"))
    yield f"{case:14}{unit + ' / CPU s':>17}{'x bare':>8}{'x peer':>8}{'peak MB':>9}{'growth':>8}"
    for each in entries:
        if not each.runs:
            yield f"{each.name:14}{each.trouble or 'absent'}"
            continue
        rate = each.median("rate")
        growth = f"{each.median('growth_mb'):8.0f}" if case == "rank" else f"{'':8}"
        yield (
            f"{each.name:14}{rate:17,.0f}{rate / bound:8.2f}{rate / best:8.2f}"
            f"{each.median('peak_mb'):9.0f}{growth}  {each.versions()}"
        )


def main() -> None:
    """Print the tables of one run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    lines = [f"SASRec, medians of {args.repeats} runs, x: times as fast as"]
    for case in args.cases or CASES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_inputs(folder, CASES[case])
            entries = list(contestants(case, folder))
            for _ in range(args.repeats):
                for each in entries:
                    run(each, ONE_THREAD, folder)
        lines += table(case, entries)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
