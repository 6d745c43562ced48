"""Runs of one config that differ by their seed only: one row of a table."""

import json
from collections.abc import Iterator, Sequence
from glob import has_magic
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from xrec_lightning.callbacks.rank_writer import METRICS_FILE, PROTOCOL
from xrec_lightning.callbacks.save_config import CONFIG_FILE

Runs = Path | Sequence[Path]
"""A run folder, or those of several seeds."""

STD = "std"
_FREE_KEYS = ("seed", "seed_everything", "default_root_dir", "save_dir", "config")
"""Settings that two runs of one row may differ in: seeds, and where things are written."""
_START = "initial_weights.run"


def folders_of(runs: Runs) -> tuple[Path, ...]:
    """Return the run folders, one a seed."""
    return (runs,) if isinstance(runs, Path) else tuple(runs)


def find_runs(text: str) -> tuple[Path, ...]:
    """Return the run folders that a text names: one, several with commas between, or a pattern.

    Raises:
        FileNotFoundError: If a pattern matches nothing.
        ValueError: If the runs are not of one config.

    Example:
        >>> find_runs("runs/a,runs/b") == (Path("runs/a"), Path("runs/b"))
        True
    """
    folders: list[Path] = []
    for part in text.split(","):
        found = [Path(part)]
        if has_magic(part):
            root = Path(Path(part).anchor)
            found = sorted(root.glob(str(Path(part).relative_to(root))))
        if not found:
            raise FileNotFoundError(f"{part}: no run folder is named like that")
        folders += found
    refuse_unlike(folders)
    return tuple(folders)


def name_runs(runs: Runs) -> str:
    """Return how a table calls the runs.

    Example:
        >>> name_runs((Path("runs/a_0"), Path("runs/a_1")))
        'runs/a_0 … runs/a_1 (2 seeds)'
    """
    folders = folders_of(runs)
    if len(folders) == 1:
        return str(folders[0])
    return f"{folders[0]} … {folders[-1]} ({len(folders)} seeds)"


def refuse_unlike(folders: Sequence[Path]) -> None:
    """Refuse runs as one row whose configs differ in more than their seed, or whose protocols do.

    Raises:
        ValueError: If they do; the message names the setting.
    """
    if len(set(folders)) < len(folders):
        raise ValueError(f"a run is named twice: {', '.join(map(str, folders))}")
    first = _settings(folders[0])
    for folder in folders[1:]:
        settings = _settings(folder)
        for key in sorted(first.keys() | settings.keys()):
            if first.get(key) != settings.get(key):
                raise ValueError(
                    f"{folders[0]} and {folder} are no seeds of one model: {key} is "
                    f"{first.get(key)} and {settings.get(key)}; give each a name of its own"
                )


def merge_figures(runs: Runs) -> dict[str, Any]:
    """Return what the tests of the runs wrote: means over seeds, and their deviations.

    Of several runs, each figure ``key`` is the mean and ``key/std`` the sample standard deviation;
    one that is null in any run is null. Of one run, the figures are as they are.

    Raises:
        FileNotFoundError: If a run was not tested.
    """
    contents = [_read_metrics(folder) for folder in folders_of(runs)]
    if len(contents) == 1:
        return contents[0]
    merged: dict[str, Any] = {}
    for key, first in contents[0].items():
        values: list[Any] = [content.get(key) for content in contents]
        if key == PROTOCOL:
            merged[key] = first
        elif any(value is None for value in values):
            merged[key] = None
        else:
            merged[key] = float(np.mean(values))
            merged[f"{key}/{STD}"] = float(np.std(values, ddof=1))
    return merged


def _read_metrics(folder: Path) -> dict[str, Any]:
    file = folder / METRICS_FILE
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist: test the run first (`xrec test`)")
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def _settings(folder: Path) -> dict[str, str]:
    """Return what runs of one row share, by dotted key: the config and the protocol."""
    config, metrics = folder / CONFIG_FILE, folder / METRICS_FILE
    settings: dict[str, str] = {}
    if config.is_file():
        settings |= dict(_leaves(yaml.safe_load(config.read_text(encoding="utf-8"))))
    if metrics.is_file():
        content = _read_metrics(folder)
        settings[PROTOCOL] = str(content.pop(PROTOCOL, ""))
        settings["figures"] = ", ".join(sorted({key.partition("/")[0] for key in content}))
    if (start := settings.get(_START, "None")) != "None":
        settings[_START] = str(_settings(Path(start)))  # each seed may start from its own run
    return settings


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inside in value.items():
            if key not in _FREE_KEYS:
                yield from _leaves(inside, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, inside in enumerate(value):
            yield from _leaves(inside, f"{path}[{index}]")
    else:
        yield path, str(value)
