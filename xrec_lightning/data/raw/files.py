"""Paths, globs and addresses -> the files that they name."""

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from glob import glob
from pathlib import Path

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.kinds import COMPRESSED, SourceFile, ending
from xrec_lightning.data.raw.remote import fetch, is_address, public_name


def find_files(path: str | Sequence[str]) -> list[SourceFile]:
    """Return the files that one or many paths, globs or addresses name, in order, each once.

    Variables are expanded; remote files are copied into the cache; the folder of a saved Hugging
    Face data set stands for its files.

    Raises:
        InputError: If a variable in a path is not set, or a path is another folder.
        FileNotFoundError: If a path names no file.
    """
    found: dict[str, SourceFile] = {}
    for pattern in [path] if isinstance(path, str) else path:
        expanded = _expand(pattern)
        files = fetch(expanded) if is_address(expanded) else _find_local(expanded)
        if not files:
            raise FileNotFoundError(
                f"{public_name(expanded)}: no such file (from the path `{public_name(pattern)}`)"
            )
        for file in files:
            if found.setdefault(file.name, file) != file:
                raise InputError(f"{file.name}: two files have this address; give one of them")
    return list(found.values())


def _expand(pattern: str) -> str:
    for name in re.findall(r"\$\{?(\w+)\}?", pattern):
        if name not in os.environ:
            raise InputError(
                f"{pattern}: the variable {name} is not set; `export {name}=FOLDER`, where FOLDER "
                "holds the data"
            )
    expanded = os.path.expandvars(pattern).removeprefix("file://")
    return expanded if is_address(expanded) else str(Path(expanded).expanduser())


def _find_local(expanded: str) -> list[SourceFile]:
    path = Path(expanded)
    if path.is_dir():
        return _find_in_folder(path)
    # A path that exists is no glob, whatever brackets it has.
    names = [expanded] if path.exists() else sorted(glob(expanded, recursive=True))  # noqa: PTH207  # Path.glob takes no absolute patterns
    files = [Path(name) for name in names if Path(name).is_file()]
    return [SourceFile(each, str(each)) for each in files]


def _find_in_folder(folder: Path) -> list[SourceFile]:
    """Return the files of a data set that Hugging Face `datasets` has saved."""
    splits = folder / "dataset_dict.json"
    state = folder / "state.json"
    try:
        if splits.is_file():
            names = json.loads(splits.read_text(encoding="utf-8"))["splits"]
            folders = ", ".join(str(folder / name) for name in names)
            raise InputError(f"{folder}: a data set of several splits; give one of: {folders}")
        if state.is_file():
            saved = json.loads(state.read_text(encoding="utf-8"))["_data_files"]
            paths = [folder / each["filename"] for each in saved]
            return [SourceFile(path, str(path)) for path in paths]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: the state of this data set cannot be read: {error}") from error
    raise InputError(f"{folder}: a folder; {_glob_of(folder)}")


def _glob_of(folder: Path) -> str:
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    if not paths:
        return "and it has no files"
    ((most, _),) = Counter(
        ending(path) + (path.suffix if path.suffix in COMPRESSED else "") for path in paths
    ).most_common(1)
    return f"name its files by a glob, as {folder}/*{most}"
