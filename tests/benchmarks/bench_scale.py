"""The whole of `xrec prepare` at growing sizes: seconds and memory for a row.

`--full` for 5, 10 and 50 million interactions; the files lie in the folder for temporary files.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from measuring import FOLDER, Contestant, make_data, run

_DEFAULT_SIZES = (1_000_000, 5_000_000)
_FULL_SIZES = (5_000_000, 10_000_000, 50_000_000)


def measure(size: int, suffix: str, settings: str) -> Contestant:
    """Return the measured run at one size, after its files are gone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(folder / f"interactions{suffix}", size)
        files = f"interactions{suffix or '/*.parquet'}"
        text = f"interactions: {{path: {folder / files}}}\noutput: {folder / 'prepared'}\n"
        (folder / "data.yaml").write_text(text + settings, encoding="utf-8")
        ours = [str(FOLDER / "peers" / "ours.py"), "full", str(folder / "data.yaml")]
        entry = Contestant(f"{size:,}", [sys.executable, *ours])
        run(entry, {}, folder)
        shutil.rmtree(folder / "prepared", ignore_errors=True)
    return entry


def table(sizes: Sequence[int], entries: Sequence[Contestant]) -> Iterable[str]:
    """Yield one line a size; the ratio is the time of a row to that at the first size."""
    header = ("interactions", "CPU s", "wall s", "us a row", "ratio", "peak MB", "bytes a row")
    yield "{:>12} {:>8} {:>8} {:>8} {:>6} {:>8} {:>11}".format(*header)
    for size, entry in zip(sizes, entries, strict=True):
        if entry.trouble:
            yield f"{entry.name:>12} {entry.trouble}"
            continue
        cpu, wall, peak = (entry.median(key) for key in ("cpu_s", "wall_s", "peak_mb"))
        ratio = cpu / size / (entries[0].median("cpu_s") / sizes[0])
        yield (
            f"{entry.name:>12} {cpu:8.1f} {wall:8.1f} {cpu / size * 1e6:8.2f} {ratio:6.2f} "
            f"{peak:8.0f} {peak * 2**20 / size:11.0f}"
        )


def main() -> None:
    """Print the table of the sizes asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=_DEFAULT_SIZES)
    parser.add_argument("--full", action="store_true", help="the sizes that show streaming")
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv")
    parser.add_argument("--settings", default="", help="further lines of the data YAML")
    args = parser.parse_args()
    sizes = _FULL_SIZES if args.full else args.sizes
    suffix = ".csv" if args.format == "csv" else ""
    entries = [measure(size, suffix, args.settings) for size in sizes]
    versions = next((each.versions() for each in entries if each.runs), "")
    lines = [f"prepare at scale, {args.format}, {versions}", *table(sizes, entries)]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
