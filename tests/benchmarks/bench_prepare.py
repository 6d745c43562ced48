"""A log from its file to what a sequential model trains on: ours, a bare script, and peers.

Each runs in a process of its own, on one thread, in turn. CPU seconds are user and system time,
without imports; peak memory is above that at the start; medians. A peer runs where a variable names
a Python that has it: XREC_BENCH_RECTOOLS, XREC_BENCH_REPLAY, XREC_BENCH_RECBOLE.

All end where a sequential model can train and validate: ids indexed, the last two events of each
user held out, histories stored. Peers make their first batch too. They and the bare script skip the
column of domains, which ours reads; RecBole reads its own format.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measuring import FOLDER, ONE_THREAD, Contestant, make_data, run, table

_PEERS = FOLDER / "peers"


def contestants(folder: Path) -> Iterator[Contestant]:
    """Yield ours first, then the bare script and the peers, absent ones too."""
    data, store = str(folder / "interactions.csv"), str(folder / "store")
    for part in ("core", "ready", "full"):
        ours = [str(_PEERS / "ours.py"), part, str(folder / "data.yaml")]
        yield Contestant(f"ours, {part}", [sys.executable, *ours])
    yield Contestant("bare", [sys.executable, str(_PEERS / "bare.py"), data, store])
    atomic = str(folder / "atomic" / "bench" / "bench.inter")
    runs = [
        ("RecTools", "rectools", [data]),
        ("RePlay", "replay", [data, store]),
        ("RePlay, tokenizer", "replay", [data, store, "tokenizer"]),
        ("RecBole", "recbole", [atomic, store]),
    ]
    for name, library, arguments in runs:
        python = os.environ.get(f"XREC_BENCH_{library.upper()}")
        script = str(_PEERS / f"peer_{library}.py")
        yield Contestant(name, [python, script, *arguments] if python else None)


def make_inputs(folder: Path, num_interactions: int) -> None:
    """Write the log as a CSV file and as an atomic file, and our data YAML."""
    (folder / "atomic" / "bench").mkdir(parents=True)
    make_data(folder / "interactions.csv", num_interactions)
    make_data(folder / "atomic" / "bench" / "bench.inter", num_interactions)
    # As peers do, keep what a user takes again.
    text = f"interactions: {{path: {folder / 'interactions.csv'}}}\nclean: {{repeats: keep}}\n"
    (folder / "data.yaml").write_text(f"{text}output: {folder / 'prepared'}\n", encoding="utf-8")


def verdict(entries: list[Contestant]) -> Iterator[str]:
    """Yield how our core stands to the bare script, and what is ready to the best peer."""
    core, ready, _, bare, *others = entries
    peers = [each for each in others if each.runs]
    for key, unit in (("cpu_s", "CPU s"), ("peak_mb", "peak MB")):
        yield f"{unit}: core / bare {core.median(key) / bare.median(key):.2f}"
        if peers:
            best = min(peers, key=lambda peer: peer.median(key))
            ratio = ready.median(key) / best.median(key)
            yield f"{unit}: ready / best peer ({best.name}) {ratio:.2f}"


def steps(entry: Contestant) -> Iterator[str]:
    """Yield the seconds of each step of the last run, where it tells them."""
    seconds = entry.runs[-1].get("steps") if entry.runs else None
    if seconds:
        yield f"{entry.name}: " + ", ".join(f"{name} {each:.2f}" for name, each in seconds.items())


def main() -> None:
    """Print the table of one run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--interactions", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_inputs(folder, args.interactions)
        entries = list(contestants(folder))
        for _ in range(args.repeats):
            for each in entries:
                (folder / "store").mkdir()
                run(each, ONE_THREAD, folder)
                shutil.rmtree(folder / "store")
                shutil.rmtree(folder / "prepared", ignore_errors=True)
    title = f"prepare, {args.interactions:,} interactions, {args.repeats} runs, ratios to our core"
    lines = [title, *table(entries, entries[0]), *verdict(entries)]
    lines += [line for each in entries[:3] for line in steps(each)]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
